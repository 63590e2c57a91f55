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

/** Where the parts go. */
interface Target extends Pick<ObjectBucket, "tuning" | "put"> {
  begin(key: string): Promise<SegmentUpload>;
}

/**
 * Stores what `source` yields: by one request when it is small, else part by part, each being sent while it comes. One
 * part is in memory at a time. After any failure nothing is left of it, as far as the server can be reached.
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
  const parts = new Parts(target, key, lengths, memory);
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

/** The parts of an upload, of which one is in memory; on its way once it is sure that there will be more than one request. */
class Parts {
  readonly #target: Target;
  readonly #key: string;
  readonly #lengths: (index: number) => number;
  readonly #memory: PartMemory;
  #upload: SegmentUpload | undefined;
  #count = 0;
  #sent = 0;
  #buffer: Buffer;
  #part: GrowingPart;
  /** Never rejects. */
  #sending: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(target: Target, key: string, lengths: (index: number) => number, memory: PartMemory) {
    this.#target = target;
    this.#key = key;
    this.#lengths = lengths;
    this.#memory = memory;
    this.#buffer = memory.take(Math.min(firstBuffer, lengths(0)));
    this.#part = new GrowingPart(this.#buffer, 0);
  }

  /** Rejects when a part can't be stored. */
  async add(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      if (this.#failure) throw this.#failure.error;
      rest = rest.subarray(this.#part.add(rest));
      if (rest.length > 0) await this.#goOn();
      else if (this.#part.length > small) await this.#send();
    }
  }

  async complete(): Promise<Stat> {
    if (!this.#upload) return await this.#target.put(this.#key, this.#part.content);
    await this.#finish();
    return await this.#upload.complete(this.#sent);
  }

  async abort(error: unknown): Promise<void> {
    this.#part.fail(error);
    await this.#sending;
    await this.#upload?.abort();
  }

  /** Gives the memory back. */
  leave(): void {
    this.#memory.give(this.#buffer);
  }

  /** Makes room. */
  async #goOn(): Promise<void> {
    if (this.#sending ?? this.#buffer.length === this.#lengths(0)) {
      await this.#finish();
      this.#replace(this.#lengths(this.#count), 0);
    } else {
      const { content } = this.#part;
      content.copy(this.#replace(this.#lengths(0), content.length));
    }
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#upload ??= await this.#target.begin(this.#key);
    this.#sending = this.#upload.send(++this.#count, this.#part).catch((error: unknown) => {
      this.#failure = { error };
    });
  }

  async #finish(): Promise<void> {
    await this.#send();
    this.#part.end();
    await this.#sending;
    this.#sending = undefined;
    if (this.#failure) throw this.#failure.error;
    this.#sent += this.#part.length;
  }

  /** Answers the buffer of a new part, which is the one before where that has the length. */
  #replace(length: number, filled: number): Buffer {
    if (this.#buffer.length !== length) {
      this.#memory.give(this.#buffer);
      this.#buffer = this.#memory.take(length);
    }
    this.#part = new GrowingPart(this.#buffer, filled);
    return this.#buffer;
  }
}
