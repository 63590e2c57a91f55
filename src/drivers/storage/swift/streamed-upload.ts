import type { Stat } from "../driver.ts";
import type { PartMemory } from "../s3/part-memory.ts";
import { partLengths } from "../s3/upload.ts";
import type { ObjectBucket } from "../s3/object-bucket.ts";
import { GrowingPart } from "./growing-part.ts";
import type { SegmentUpload } from "./segment-upload.ts";

/** What is not longer is sent by one request when it has come. */
export const small = 8_388_608;
/** The first buffer, as nobody knows how much will come: most objects are small. Behind it the next is a part's. */
const firstBuffer = 1_048_576;

/** What an upload does with its parts. */
export type StreamedParts = Pick<SegmentUpload, "send" | "complete" | "abort">;

/** Where the parts go. */
interface Target extends Pick<ObjectBucket, "tuning" | "put"> {
  begin(key: string): Promise<StreamedParts>;
}

/** So much of the next part is taken, as a share of a part's length, while the server makes sure of the one before. */
const ahead = 3 / 8;

/**
 * Stores what `source` yields: by one request when it is small, else part by part, each being sent while it comes. Little
 * more than one part is in memory at a time. After any failure nothing is left of it, as far as the server can be reached.
 */
export async function streamedUpload(
  target: Target,
  key: string,
  source: AsyncIterable<Uint8Array>,
  memory: PartMemory,
  size?: number,
): Promise<Stat> {
  const { partSize, mostParts } = target.tuning;
  const lengths = partLengths(partSize, memory.isTight, size, mostParts);
  const parts = new Parts(target, key, lengths, memory, size);
  try {
    for await (const chunk of source) await parts.add(chunk);
    return await parts.complete();
  } catch (error) {
    await parts.abort(error);
    throw error;
  } finally {
    parts.leave();
  }
}

/** The parts of an upload, of which the last is coming; on their way once it is sure that there will be more than one request. */
class Parts {
  readonly #target: Target;
  readonly #key: string;
  readonly #lengths: (index: number) => number;
  readonly #memory: PartMemory;
  readonly #size: number;
  #upload: StreamedParts | undefined;
  /** How many parts have come, and their bytes. */
  #count = 0;
  #sent = 0;
  /** What parts lie in, one behind the other. */
  #ring: Buffer;
  #part: GrowingPart;
  /** The request with the part that is coming. Never rejects. */
  #sending: Promise<void> | undefined;
  /** The part before, which is in memory until the server is sure of it, and its request. */
  #before: { readonly length: number; readonly sending: Promise<void> | undefined } | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    target: Target,
    key: string,
    lengths: (index: number) => number,
    memory: PartMemory,
    size = Number.MAX_SAFE_INTEGER,
  ) {
    this.#target = target;
    this.#key = key;
    this.#lengths = lengths;
    this.#memory = memory;
    this.#size = size;
    this.#ring = memory.take(Math.min(firstBuffer, lengths(0)));
    this.#part = new GrowingPart(this.#ring, 0);
  }

  /** Rejects when a part can't be stored. */
  async add(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      if (this.#failure) throw this.#failure.error;
      rest = rest.subarray(this.#part.add(rest.subarray(0, this.#room)));
      if (this.#upload ?? this.#part.length > small) await this.#send();
      if (rest.length > 0) await this.#makeRoom();
    }
  }

  async complete(): Promise<Stat> {
    if (!this.#upload) return await this.#target.put(this.#key, this.#part.content);
    await this.#end();
    await this.#settled();
    if (this.#failure) throw this.#failure.error;
    return await this.#upload.complete(this.#sent);
  }

  async abort(error: unknown): Promise<void> {
    this.#part.fail(error);
    await this.#settled();
    await this.#upload?.abort();
  }

  /** Gives the memory back. */
  leave(): void {
    this.#memory.give(this.#ring);
  }

  /** The most bytes that the part that is coming may have. */
  get #length(): number {
    return this.#lengths(this.#count);
  }

  get #room(): number {
    return Math.min(this.#length, this.#ring.length - (this.#before?.length ?? 0)) - this.#part.length;
  }

  async #makeRoom(): Promise<void> {
    if (this.#part.length === this.#length) await this.#goOn();
    else if (this.#before) await this.#forget();
    else this.#part.content.copy(this.#replace(this.#part.length));
  }

  /** Begins a part behind the one that has come. */
  async #goOn(): Promise<void> {
    await this.#end();
    await this.#forget();
    this.#before = { length: this.#part.length, sending: this.#sending };
    this.#sending = undefined;
    if (this.#length < this.#ring.length) {
      this.#part = new GrowingPart(this.#ring, 0, this.#part.next);
    } else {
      await this.#forget();
      this.#replace(0);
    }
  }

  /** Waits for the part before, which then needs no memory any more. */
  async #forget(): Promise<void> {
    await this.#before?.sending;
    this.#before = undefined;
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#upload ??= await this.#target.begin(this.#key);
    this.#sending = this.#upload.send(this.#count + 1, this.#part).catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  async #end(): Promise<void> {
    await this.#send();
    this.#part.end();
    this.#sent += this.#part.length;
    this.#count++;
  }

  async #settled(): Promise<void> {
    await Promise.all([this.#before?.sending, this.#sending]);
  }

  /** Answers memory for the part that is coming, which has its first `filled` bytes, and for a piece of the next. */
  #replace(filled: number): Buffer {
    const length = this.#length;
    const both = Math.min(Math.ceil(length * (1 + ahead)), this.#size);
    const wanted = this.#memory.hasRoom(both - this.#ring.length) ? both : length;
    if (wanted !== this.#ring.length) {
      this.#memory.give(this.#ring);
      this.#ring = this.#memory.take(wanted);
    }
    this.#part = new GrowingPart(this.#ring, filled);
    return this.#ring;
  }
}
