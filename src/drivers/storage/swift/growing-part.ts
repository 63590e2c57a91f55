/** So many bytes at least are worth a chunk of their own on the way. */
const worthSending = 262_144;

/**
 * A part that is sent while it is gathered, in memory that holds all of it: when a request with it fails, another can be
 * made. A first reader gets what is there; those after it begin when the part is whole, as the first may have failed
 * because its bytes came so slowly.
 */
export class GrowingPart {
  readonly #ring: Buffer;
  readonly #start: number;
  #filled: number;
  #isRead = false;
  #isWhole = false;
  #failure: { readonly error: unknown } | undefined;
  #readers: (() => void)[] = [];

  /**
   * The part begins at `start` of `ring`, and goes on at its beginning when it comes to its end. It has its first `filled`
   * bytes. They are needed as long as somebody reads.
   */
  constructor(ring: Buffer, filled: number, start = 0) {
    this.#ring = ring;
    this.#filled = filled;
    this.#start = start;
  }

  get length(): number {
    return this.#filled;
  }

  /** Where the next byte goes within the ring. */
  get next(): number {
    return (this.#start + this.#filled) % this.#ring.length;
  }

  /** Takes as much of `chunk` as there is room for, and answers how much that is. */
  add(chunk: Uint8Array): number {
    const taken = chunk.subarray(0, this.#ring.length - this.#filled);
    const here = taken.subarray(0, this.#ring.length - this.next);
    this.#ring.set(here, this.next);
    this.#ring.set(taken.subarray(here.length));
    this.#filled += taken.length;
    this.#wake();
    return taken.length;
  }

  /** All of a part that begins with its memory. */
  get content(): Buffer {
    return this.#ring.subarray(0, this.#filled);
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
    for (let sent = 0; ;) {
      if (this.#failure) throw this.#failure.error;
      if (this.#isWhole || (isFirst && this.#filled - sent >= worthSending)) {
        const start = (this.#start + sent) % this.#ring.length;
        const chunk = this.#ring.subarray(start, start + this.#filled - sent);
        sent += chunk.length;
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
