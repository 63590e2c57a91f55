import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { ByteRange } from "../../drivers/storage/driver.ts";
import { RegistryError } from "../errors.ts";
import { headerOf, type Answer } from "./connection.ts";
import { told, UpstreamFailure, unanswered } from "./failure.ts";
import { sizeSaid } from "./peers.ts";
import { Spool } from "./spool.ts";

/** A blob on its way from an upstream, for all who want it meanwhile. */
export interface BlobFetch {
  /** Its size, as soon as the upstream has begun to answer; undefined when that hasn't the blob. Rejects with a failure. */
  readonly size: Promise<number | undefined>;
  /** Whether nothing will come of it; who wants the blob now begins another. */
  readonly hasFailed: boolean;
  /** Resolves when nothing is left to do, whatever became of it. */
  readonly ended: Promise<void>;
  /**
   * What there is and what will come; only once `size` is known. It fails, instead of ending, when the blob is not what it
   * should be; it ends after `last`.
   */
  open(range?: ByteRange, last?: Promise<void>): Readable;
}

/** Bytes of a blob, and whether they come from an upstream itself. */
export interface Arriving {
  readonly answer: Answer;
  readonly isUpstreams: boolean;
}

/** What a fetch works with. */
export interface FetchParts {
  /** The upstream, as messages call it. */
  readonly who: string;
  /** Asks for what follows the first `start` bytes: undefined when there is no such blob. */
  readonly ask: (start: number) => Promise<Arriving | undefined>;
  /** The blob, as messages call it. */
  readonly what: string;
  /** Passes on what it is given; throws DIGEST_INVALID instead of ending where that is not the blob. */
  readonly verified: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
  /** Where bytes lie until they are kept. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly onBytes: (count: number) => void;
  /** Keeps the blob: what `read` yields is all of it, from a position on, and fails when it is none. */
  readonly keep: (read: (start?: number) => AsyncGenerator<Uint8Array>, first: Arriving) => Promise<void>;
  /** Told why a blob that was sent to clients was not kept. */
  readonly onError: (error: unknown) => void;
  /** Told why it could not be fetched. */
  readonly onFailure: (error: unknown) => void;
}

/** How often an upstream that cuts an answer is asked for the rest without anything having come, and in all. */
const mostInVain = 4;
const mostCuts = 50;
const firstWait = 100;

/**
 * Fetches a blob, once for everybody. It goes on when the last client has left: whoever left comes back, as docker does,
 * and finds it in store. An upstream that cuts it is asked for the rest.
 */
export function fetchBlob(parts: FetchParts): BlobFetch {
  const { promise: size, resolve, reject } = deferred<number | undefined>();
  // Whoever asks for it is told; nobody may.
  size.catch(() => undefined);
  const spooled: { spool?: Spool } = {};
  const ended = run(parts, spooled, resolve).catch((error: unknown) => {
    parts.onFailure(error);
    reject(error);
  });
  return {
    size,
    ended,
    get hasFailed() {
      return spooled.spool?.hasFailed === true;
    },
    open: (range, last) => {
      const { spool } = spooled;
      if (!spool) throw new Error("The blob is opened before its size is known");
      return reader(spool, range, last);
    },
  };
}

async function run(
  parts: FetchParts,
  spooled: { spool?: Spool },
  begun: (size: number | undefined) => void,
): Promise<void> {
  const { who, what, folder, verified } = parts;
  const first = await parts.ask(0);
  if (!first) {
    begun(undefined);
    return;
  }
  const size = sizeOf(first.answer);
  const spool = await Spool.create(folder).catch((error: unknown) => {
    first.answer.body.destroy();
    throw error;
  });
  spooled.spool = spool;
  if (size !== undefined) begun(size);
  const kept = keep(parts, spool, first);
  try {
    for await (const chunk of verified(whole(parts, first, size))) await spool.append(chunk);
    spool.complete();
    begun(spool.size);
  } catch (cause) {
    const error = isWrong(cause) ? new UpstreamFailure("broken", `${who} sends what is not ${what}`) : cause;
    spool.fail(told(error, "BLOB_UNKNOWN"));
    throw error;
  } finally {
    await kept;
    await spool.release();
  }
}

/** What could not be fetched is told to those who wait for it; that the storage does not take it, only here. */
async function keep({ keep: store, onError }: FetchParts, spool: Spool, first: Arriving): Promise<void> {
  try {
    await store((start) => spool.read(start), first);
  } catch (error) {
    if (!spool.hasFailed) onError(error);
  }
}

/** All bytes of the blob, over as many answers as that takes. */
async function* whole(parts: FetchParts, first: Arriving, size: number | undefined): AsyncGenerator<Uint8Array> {
  const { who, signal } = parts;
  let received = 0;
  let inVain = 0;
  for (let cuts = 0; ; cuts++) {
    const before = received;
    let cause: unknown;
    try {
      for await (const chunk of cuts === 0 ? bytesOf(first, parts) : rest(parts, before)) {
        received += chunk.length;
        yield chunk;
      }
      if (size === undefined || received >= size) return;
    } catch (error) {
      cause = error;
    }
    signal.throwIfAborted();
    inVain = received > before ? 0 : inVain + 1;
    if (inVain >= mostInVain || cuts >= mostCuts || isFinal(cause)) {
      throw cause instanceof UpstreamFailure ? cause : unanswered(who, cause);
    }
    await sleep(Math.random() * firstWait * 2 ** inVain, undefined, { signal });
  }
}

async function* bytesOf(
  { answer: { body }, isUpstreams }: Arriving,
  { onBytes }: Pick<FetchParts, "onBytes">,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      if (isUpstreams) onBytes(chunk.length);
      yield chunk;
    }
  } finally {
    body.destroy();
  }
}

/** What follows the first bytes; an upstream that doesn't know ranges sends all again. */
async function* rest(parts: FetchParts, received: number): AsyncGenerator<Uint8Array> {
  const { who, what } = parts;
  const arriving = await parts.ask(received);
  if (!arriving) throw new UpstreamFailure("broken", `${who} has lost ${what} while it sent it`);
  const { answer } = arriving;
  const begins = /^bytes (\d+)-/.exec(headerOf(answer, "content-range") ?? "")?.[1];
  if (answer.status === 206 && Number(begins) !== received) {
    answer.body.destroy();
    throw new UpstreamFailure("broken", `${who} sends another part than was asked for`);
  }
  let skipped = answer.status === 206 ? 0 : received;
  for await (const chunk of bytesOf(arriving, parts)) {
    const fresh = chunk.subarray(Math.min(skipped, chunk.length));
    skipped -= chunk.length - fresh.length;
    if (fresh.length > 0) yield fresh;
  }
}

/** Whether the bytes that came were not those of the digest. */
function isWrong(cause: unknown): boolean {
  return cause instanceof RegistryError && cause.code === "DIGEST_INVALID";
}

/** Whether asking again is of no use. */
function isFinal(cause: unknown): boolean {
  return cause instanceof UpstreamFailure && (cause.kind === "refused" || cause.kind === "busy");
}

/** How large the blob is that an answer begins, if it says. */
export function sizeOf(answer: Answer): number | undefined {
  const text = sizeSaid(answer) ?? headerOf(answer, "content-length");
  return text === undefined || !/^\d{1,15}$/.test(text) ? undefined : Number(text);
}

/** The file is let go of with the stream, which may never be read. */
function reader(spool: Spool, range?: ByteRange, last?: Promise<void>): Readable {
  spool.retain();
  const bytes = async function* () {
    yield* spool.read(range?.start, range?.end);
    await last;
  };
  const stream = Readable.from(bytes(), { objectMode: false });
  stream.once("close", () => {
    void spool.release();
  });
  return stream;
}

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
