/** Numbers that look random and can be had again: the seed is printed, and `REGISTRYCTL_TEST_SEED` sets it. */
export class Randomness {
  readonly seed: number;
  #state: number;

  constructor(what: string) {
    this.seed = Number(process.env["REGISTRYCTL_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    this.#state = this.seed >>> 0;
    process.stderr.write(`  ${what}: seed ${this.seed}\n`);
  }

  /** From 0 up to, not including, `limit`. */
  integer(limit: number): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at += 4)
      bytes.fill(this.integer(256), at, Math.min(at + 1 + this.integer(4), length));
    return bytes;
  }

  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.integer(items.length)] ?? items[0];
  }
}
