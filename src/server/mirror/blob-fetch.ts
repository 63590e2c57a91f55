import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { ByteRange } from "../../drivers/storage/driver.ts";
import { RegistryError } from "../errors.ts";
import { verified, type Digest } from "../registry/digest.ts";
import { headerOf, type Answer } from "./connection.ts";
import { told, UpstreamFailure, unanswered } from "./failure.ts";
import type { MirrorMeter } from "./meter.ts";
import { Spool } from "./spool.ts";
import type { Mirrored } from "./upstreams.ts";

/** A blob on its way from an upstream, for all who want it meanwhile. */
export interface BlobFetch {
  readonly digest: Digest;
  /** Its size, as soon as the upstream has begun to answer; undefined when that hasn't the blob. Rejects with a failure. */
  readonly size: Promise<number | undefined>;
  /** Whether nothing will come of it; who wants the blob now begins another. */
  readonly hasFailed: boolean;
  /** Resolves when nothing is left to do, whatever became of it. */
  readonly ended: Promise<void>;
  /** What there is and what will come; only once `size` is known. It fails, instead of ending, when the blob is not what it should be. */
  open(range?: ByteRange): Readable;
}

/** What a fetch works with. */
export interface FetchParts {
  readonly from: Mirrored;
  readonly digest: Digest;
  /** Where bytes lie until they are kept. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly meter: MirrorMeter;
  /** Keeps the blob: `source` yields all of it and fails when it is none. */
  readonly keep: (source: AsyncIterable<Uint8Array>, size: number | undefined) => Promise<void>;
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
    digest: parts.digest,
    size,
    ended,
    get hasFailed() {
      return spooled.spool?.hasFailed === true;
    },
    open: (range) => {
      const { spool } = spooled;
      if (!spool) throw new Error("The blob is opened before its size is known");
      return reader(spool, range);
    },
  };
}

async function run(
  parts: FetchParts,
  spooled: { spool?: Spool },
  begun: (size: number | undefined) => void,
): Promise<void> {
  const { from, digest, signal, folder } = parts;
  const first = await from.upstream.blob(from.remoteName, digest, 0, { signal });
  if (!first) {
    begun(undefined);
    return;
  }
  const size = lengthOf(first);
  const spool = await Spool.create(folder).catch((error: unknown) => {
    first.body.destroy();
    throw error;
  });
  spooled.spool = spool;
  if (size !== undefined) begun(size);
  const kept = keep(parts, spool, size);
  try {
    for await (const chunk of verified(whole(parts, first, size), digest)) await spool.append(chunk);
    spool.complete();
    begun(spool.size);
  } catch (cause) {
    const error = isWrong(cause)
      ? new UpstreamFailure("broken", `${from.upstream.who} sends what is not ${digest}`)
      : cause;
    spool.fail(told(error, "BLOB_UNKNOWN"));
    throw error;
  } finally {
    await kept;
    await spool.release();
  }
}

/** What could not be fetched is told to those who wait for it; that the storage does not take it, only here. */
async function keep({ keep: store, onError }: FetchParts, spool: Spool, size: number | undefined): Promise<void> {
  try {
    await store(spool.read(), size);
  } catch (error) {
    if (!spool.hasFailed) onError(error);
  }
}

/** All bytes of the blob, over as many answers as that takes. */
async function* whole(parts: FetchParts, first: Answer, size: number | undefined): AsyncGenerator<Uint8Array> {
  const { from, signal, meter } = parts;
  let received = 0;
  let inVain = 0;
  for (let cuts = 0; ; cuts++) {
    const before = received;
    let cause: unknown;
    try {
      for await (const chunk of cuts === 0 ? bytesOf(first) : rest(parts, before)) {
        received += chunk.length;
        meter.fetched(from.upstream.who, chunk.length);
        yield chunk;
      }
      if (size === undefined || received >= size) return;
    } catch (error) {
      cause = error;
    }
    signal.throwIfAborted();
    inVain = received > before ? 0 : inVain + 1;
    if (inVain >= mostInVain || cuts >= mostCuts || isFinal(cause)) {
      throw cause instanceof UpstreamFailure ? cause : unanswered(from.upstream.who, cause);
    }
    await sleep(Math.random() * firstWait * 2 ** inVain, undefined, { signal });
  }
}

async function* bytesOf({ body }: Answer): AsyncGenerator<Uint8Array> {
  try {
    yield* body as AsyncIterable<Uint8Array>;
  } finally {
    body.destroy();
  }
}

/** What follows the first bytes; an upstream that doesn't know ranges sends all again. */
async function* rest({ from, digest, signal }: FetchParts, received: number): AsyncGenerator<Uint8Array> {
  const answer = await from.upstream.blob(from.remoteName, digest, received, { signal });
  if (!answer) throw new UpstreamFailure("broken", `${from.upstream.who} has lost ${digest} while it sent it`);
  const begins = /^bytes (\d+)-/.exec(headerOf(answer, "content-range") ?? "")?.[1];
  if (answer.status === 206 && Number(begins) !== received) {
    answer.body.destroy();
    throw new UpstreamFailure("broken", `${from.upstream.who} sends another part than was asked for`);
  }
  let skipped = answer.status === 206 ? 0 : received;
  for await (const chunk of bytesOf(answer)) {
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

function lengthOf(answer: Answer): number | undefined {
  const text = headerOf(answer, "content-length");
  return text === undefined || !/^\d{1,15}$/.test(text) ? undefined : Number(text);
}

/** The file is let go of with the stream, which may never be read. */
function reader(spool: Spool, range?: ByteRange): Readable {
  spool.retain();
  const stream = Readable.from(spool.read(range?.start, range?.end), { objectMode: false });
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
