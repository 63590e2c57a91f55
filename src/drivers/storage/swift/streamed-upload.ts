import type { Stat } from "../driver.ts";
import { DriverError } from "../errors.ts";
import { registryLayers } from "../layer-keys.ts";
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

/** No part that goes on is longer, in bytes: the server brings one to its disk while the next comes. */
const longestPart = 134_217_728;

/** A part that was in memory as a whole is gone on with only where, and as long as, the same again comes in so many milliseconds. */
const pace = 2_000;

/**
 * Stores what `source` yields: by one request when it is small, else part by part, each being sent while it comes. Little
 * more than one part is in memory at a time. After any failure nothing is left of it, as far as the server can be reached.
 *
 * What a client uploads, and can send once more, is in as few parts as may be, since each costs the server as much as a small
 * object, and once more wherever it is listed: there a part that comes fast goes on when it is longer than memory holds. When
 * its connection is cut then, the upload fails. Everything else is in parts that can be sent again.
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
  const longest = registryLayers.uploadOf(key) === undefined ? 0 : longestPart;
  const parts = new Parts({ target, key, lengths, longest, memory, size });
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
  /** No part that is longer than memory holds is longer than this. */
  readonly #longest: number;
  readonly #memory: PartMemory;
  readonly #size: number;
  #upload: StreamedParts | undefined;
  /** The upload that is being begun. */
  #beginning: Promise<StreamedParts> | undefined;
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
  /** When the part that is coming began. */
  #begun = Date.now();
  /** Watches over the pace of a part that is longer than memory holds, and what came of it since it last looked. */
  #watch: NodeJS.Timeout | undefined;
  #gained = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(given: {
    readonly target: Target;
    readonly key: string;
    readonly lengths: (index: number) => number;
    readonly longest: number;
    readonly memory: PartMemory;
    readonly size: number | undefined;
  }) {
    this.#target = given.target;
    this.#key = given.key;
    this.#lengths = given.lengths;
    this.#longest = given.longest;
    this.#memory = given.memory;
    this.#size = given.size ?? Number.MAX_SAFE_INTEGER;
    this.#ring = this.#memory.take(Math.min(firstBuffer, this.#lengths(0)));
    this.#part = new GrowingPart(this.#ring, 0);
  }

  /** Rejects when a part can't be stored. */
  async add(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      if (this.#failure) throw this.#failure.error;
      if (this.#watch) {
        rest = rest.subarray(await this.#pass(rest));
        continue;
      }
      rest = rest.subarray(this.#part.add(rest.subarray(0, this.#room)));
      if (this.#upload ?? this.#part.length > this.#small) await this.#send();
      // It is awaited when there is something to send; until then its failure must not count as nobody's.
      else if (this.#isLikelyLarge) this.#begin().catch(() => undefined);
      if (rest.length > 0) await this.#makeRoom();
    }
  }

  async complete(): Promise<Stat> {
    if (!this.#upload) {
      const [stat] = await Promise.all([this.#target.put(this.#key, this.#part.content), this.#takeBack()]);
      return stat;
    }
    await this.#end();
    await this.#settled();
    if (this.#failure) throw this.#failure.error;
    return await this.#upload.complete(this.#sent);
  }

  async abort(error: unknown): Promise<void> {
    this.#part.fail(error);
    await this.#settled();
    await this.#takeBack();
  }

  async #takeBack(): Promise<void> {
    const upload = await this.#beginning?.catch(() => undefined);
    await upload?.abort();
  }

  /** Gives the memory back. */
  leave(): void {
    this.#stopWatching();
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
    const isFull = this.#part.length === this.#length;
    if ((isFull || this.#before) && this.#isFast) await this.#lengthen();
    else if (isFull) await this.#goOn();
    else if (this.#before) await this.#forget();
    else this.#part.content.copy(this.#replace(this.#part.length));
  }

  /** Where speed counts, half of what makes it sure is enough to begin: who is wrong takes that back by one request. */
  get #isLikelyLarge(): boolean {
    return this.#longest > 0 && this.#size > this.#small && this.#part.length > this.#small / 2;
  }

  /** What a client uploads is a list from a smaller size on: the server need not wait for it, and moves it without a copy. */
  get #small(): number {
    return this.#longest > 0 ? small / 2 : small;
  }

  get #isFast(): boolean {
    return this.#longest > this.#part.length && this.#part.isFresh && Date.now() - this.#begun < pace;
  }

  /** What comes next is passed on, as the same part. */
  async #lengthen(): Promise<void> {
    await this.#send();
    this.#gained = 0;
    this.#watch = setInterval(() => {
      // A connection that is slow or idle may be cut, so it should have nothing that can't be sent again.
      if (this.#gained < this.#length) this.#part.end();
      this.#gained = 0;
    }, pace);
  }

  /** Passes on as much of `chunk` as the part may have, and answers how much that is. */
  async #pass(chunk: Uint8Array): Promise<number> {
    const passed = chunk.subarray(0, this.#part.isWhole ? 0 : this.#longest - this.#part.length);
    if (passed.length === 0) {
      await this.#goOn();
      return 0;
    }
    this.#gained += passed.length;
    await this.#part.pass(passed);
    return passed.length;
  }

  #stopWatching(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  /** Begins a part behind the one that has come. */
  async #goOn(): Promise<void> {
    this.#stopWatching();
    await this.#end();
    await this.#forget();
    this.#before = { length: this.#part.held, sending: this.#sending };
    this.#sending = undefined;
    this.#begun = Date.now();
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
    this.#upload ??= await this.#begin();
    this.#sending = this.#store(this.#upload, this.#part);
  }

  async #begin(): Promise<StreamedParts> {
    return await (this.#beginning ??= this.#target.begin(this.#key));
  }

  async #store(upload: StreamedParts, part: GrowingPart): Promise<void> {
    try {
      await upload.send(this.#count + 1, part);
      if (!part.isWhole)
        throw new DriverError("UNAVAILABLE", `${this.#key}: the server did not wait for all of a part`);
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      part.leave();
    }
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
