/** Thrown by `BitReader` when its bytes end; what was being read can be read again once there are more. */
export class Underflow extends Error {
  override readonly name = "Underflow";
}

/** Reads bits, the highest of each byte first. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #next: number;
  #held = 0;
  #count = 0;

  /** Starts `bit` bits into `bytes`. */
  constructor(bytes: Uint8Array, bit: number) {
    this.#bytes = bytes;
    this.#next = bit >>> 3;
    if ((bit & 7) !== 0) this.skip(bit & 7);
  }

  /** How many bits lie before the next one. */
  get position(): number {
    return this.#next * 8 - this.#count;
  }

  /** The next `count` bits (24 at most), which stay. */
  peek(count: number): number {
    while (this.#count < count) {
      const byte = this.#bytes[this.#next];
      if (byte === undefined) throw new Underflow("the data ends early");
      this.#next++;
      this.#held = ((this.#held << 8) | byte) >>> 0;
      this.#count += 8;
    }
    return (this.#held >>> (this.#count - count)) & ((1 << count) - 1);
  }

  /** Passes over bits that have been peeked at. */
  skip(count: number): void {
    if (this.#count < count) this.peek(count);
    this.#count -= count;
  }

  /** The next `count` bits (24 at most). */
  read(count: number): number {
    const bits = this.peek(count);
    this.#count -= count;
    return bits;
  }

  /** The next 32 bits, as an unsigned number. */
  read32(): number {
    return this.read(16) * 0x10000 + this.read(16);
  }
}
