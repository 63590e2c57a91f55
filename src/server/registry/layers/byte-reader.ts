import { unsupported } from "./unsupported.ts";

const nothing = Buffer.alloc(0);

/** Takes a stream of chunks of any size as runs of as many bytes as its reader wants. Holds one chunk at a time. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = nothing;
  #offset = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly `size` bytes, or undefined when the stream has ended before the first; rejects when it ends within them. */
  async read(size: number): Promise<Buffer | undefined> {
    if (this.#chunk.length - this.#offset >= size) return this.#take(size);
    const whole = Buffer.allocUnsafe(size);
    let filled = 0;
    for await (const piece of this.pieces(size)) filled += piece.copy(whole, filled);
    if (filled === size) return whole;
    if (filled === 0) return undefined;
    throw unsupported("the archive is cut short");
  }

  /** The next `size` bytes as they come; fewer when the stream ends. */
  async *pieces(size: number): AsyncGenerator<Buffer> {
    let left = size;
    while (left > 0 && (await this.#fill())) {
      const piece = this.#take(Math.min(left, this.#chunk.length - this.#offset));
      left -= piece.length;
      yield piece;
    }
  }

  /** Passes over `size` bytes and answers how many there were. */
  async skip(size: number): Promise<number> {
    let left = size;
    while (left > 0 && (await this.#fill()))
      left -= this.#take(Math.min(left, this.#chunk.length - this.#offset)).length;
    return size - left;
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  #take(size: number): Buffer {
    const start = this.#offset;
    this.#offset += size;
    return this.#chunk.subarray(start, this.#offset);
  }

  async #fill(): Promise<boolean> {
    while (this.#offset === this.#chunk.length) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
      this.#offset = 0;
    }
    return true;
  }
}
