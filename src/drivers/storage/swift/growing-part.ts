/** So many bytes at least are worth a chunk of their own on the way. */
const worthSending = 262_144;

/**
 * A part that is sent while it is gathered, in memory that holds all of it: when a request with it fails, another can be
 * made. A first reader gets what is there; those after it begin when the part is whole, as the first may have failed
 * because its bytes came so slowly.
 */
export class GrowingPart {
  readonly #buffer: Buffer;
  #filled: number;
  #isRead = false;
  #isWhole = false;
  #failure: { readonly error: unknown } | undefined;
  #readers: (() => void)[] = [];

  /** `buffer` is as long as the part may be, and has its first `filled` bytes; it is needed as long as somebody reads. */
  constructor(buffer: Buffer, filled: number) {
    this.#buffer = buffer;
    this.#filled = filled;
  }

  get length(): number {
    return this.#filled;
  }

  /** Takes as much of `chunk` as there is room for, and answers how much that is. */
  add(chunk: Uint8Array): number {
    const taken = chunk.subarray(0, this.#buffer.length - this.#filled);
    this.#buffer.set(taken, this.#filled);
    this.#filled += taken.length;
    this.#wake();
    return taken.length;
  }

  /** All of it that is there. */
  get content(): Buffer {
    return this.#buffer.subarray(0, this.#filled);
  }

  /** Nothing will be added any more. */
  end(): void {
    this.#isWhole = true;
    this.#wake();
  }

  /** Readers fail with `error`: the part will never be whole. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  /** All bytes of the part, from the first. Every call begins anew. */
  async *read(): AsyncGenerator<Uint8Array> {
    const isFirst = !this.#isRead;
    this.#isRead = true;
    for (let start = 0; ;) {
      if (this.#failure) throw this.#failure.error;
      if (this.#isWhole || (isFirst && this.#filled - start >= worthSending)) {
        const chunk = this.#buffer.subarray(start, this.#filled);
        start = this.#filled;
        if (chunk.length > 0) yield chunk;
        else return;
      } else {
        await new Promise<void>((resolve) => this.#readers.push(resolve));
      }
    }
  }

  #wake(): void {
    const readers = this.#readers;
    this.#readers = [];
    for (const reader of readers) reader();
  }
}
