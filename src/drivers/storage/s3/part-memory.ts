/** So many buffers that are not needed at the moment are kept for the next parts; short ones are soon made. */
const kept = 4;
const worthKeeping = 5 * 1_048_576;

/**
 * The buffers of all uploads. It refuses nobody, since those who wait would wait for the slowest client: who comes when
 * much is taken is asked to do with less.
 */
export class PartMemory {
  readonly #limit: number;
  #free: Buffer[] = [];
  #taken = 0;

  /** `limit` is how many bytes should be taken at most. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** So much is taken that new uploads should take little. */
  get isTight(): boolean {
    return this.#taken > this.#limit / 2;
  }

  /** Whether `length` more bytes could be taken within the limit. */
  hasRoom(length: number): boolean {
    return this.#taken + length <= this.#limit;
  }

  /** A buffer of that length, with anything in it. */
  take(length: number): Buffer {
    this.#taken += length;
    const index = this.#free.findIndex((buffer) => buffer.length === length);
    const [old] = index < 0 ? [] : this.#free.splice(index, 1);
    return old ?? Buffer.allocUnsafeSlow(length);
  }

  /** Takes back what `take` gave. Where nothing is taken, nothing is kept. */
  give(buffer: Buffer): void {
    this.#taken -= buffer.length;
    if (this.#taken === 0) this.#free = [];
    else if (buffer.length >= worthKeeping) this.#free = [buffer, ...this.#free].slice(0, kept);
  }
}
