import { DriverError } from "../errors.ts";

/** So many bytes at least are worth a chunk of their own on the way. */
const worthSending = 262_144;

/**
 * A part that is sent while it is gathered, in memory that holds all of it: when a request with it fails, another can be
 * made. A first reader gets what is there; those after it begin when the part is whole, as the first may have failed
 * because its bytes came so slowly. What is more than the memory holds can be passed on to the first reader alone.
 */
export class GrowingPart {
  readonly #ring: Buffer;
  readonly #start: number;
  #filled: number;
  #passed = 0;
  /** What is being passed on, and waits for the reader, if anything is. */
  #passing: Uint8Array | undefined;
  /** A reader has had some of what was passed on, which no other can have. */
  #isTaken = false;
  #readings = 0;
  #isWhole = false;
  #isLeft = false;
  #failure: { readonly error: unknown } | undefined;
  #waiting: (() => void)[] = [];

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
    return this.#filled + this.#passed;
  }

  /** How much of it is in memory: all of it unless some was passed on. */
  get held(): number {
    return this.#filled;
  }

  /** Whether all of it can still be read. */
  get isThere(): boolean {
    return !this.#isTaken;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Whether what is passed on finds its reader: nobody had to begin anew, as far as is known. */
  get isFresh(): boolean {
    return this.#readings <= 1 && !this.#isLeft;
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

  /** Hands `chunk` to the reader, behind all that is in memory. Resolves when it is taken, or there will be no reader. */
  async pass(chunk: Uint8Array): Promise<void> {
    this.#passing = chunk;
    this.#passed += chunk.length;
    this.#wake();
    while (this.#passing === chunk && !this.#isLeft) await this.#change();
  }

  /** Nobody reads it any more, nor will. */
  leave(): void {
    this.#isLeft = true;
    this.#wake();
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

  /**
   * All bytes of the part, from the first. Every call begins anew. UNAVAILABLE where some were passed on to another reader, or
   * will be.
   */
  async *read(): AsyncGenerator<Uint8Array> {
    const reading = ++this.#readings;
    let isAnothers = this.#isTaken;
    for (let sent = 0; ;) {
      if (this.#failure) throw this.#failure.error;
      isAnothers ||= this.#passed > 0 && reading !== this.#readings;
      if (isAnothers) throw new DriverError("UNAVAILABLE", "the connection was cut after more than can be sent again");
      const isAll = this.#isWhole || this.#passed > 0;
      if (sent < this.#filled && (isAll || (reading === 1 && this.#filled - sent >= worthSending))) {
        const start = (this.#start + sent) % this.#ring.length;
        const chunk = this.#ring.subarray(start, start + this.#filled - sent);
        sent += chunk.length;
        yield chunk;
      } else if (this.#passing) {
        const chunk = this.#passing;
        this.#passing = undefined;
        this.#isTaken = true;
        this.#wake();
        yield chunk;
      } else if (this.#isWhole) {
        return;
      } else {
        await this.#change();
      }
    }
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
