import { Readable } from "node:stream";
import { MessageChannel } from "node:worker_threads";
import type { Algorithm } from "../digest.ts";
import { isExamination, type Examination } from "./examination.ts";
import { listStart } from "./file-rows.ts";
import type { LayerWorker } from "./layer-worker.ts";
import { receivedStream, sendStream, ThreadEnded } from "./remote-stream.ts";
import { WorkerPool } from "./worker-pool.ts";
import type { Task } from "./worker.ts";

/** How much of the machine an analysis may take. */
export interface LayerAnalysisOptions {
  /** How many layers are read at the same time; as many diffs run beside them. */
  readonly workers?: number;
  /** A thread that has had nothing to do for as long is ended. */
  readonly idleMilliseconds?: number;
  /** What a thread's JavaScript objects may take; a thread that needs more fails its job. */
  readonly heapMegabytes?: number;
}

/** How one piece of work is done. */
export interface AnalysisOptions {
  /** Ends the work, also while it waits for its turn. */
  readonly signal?: AbortSignal;
}

/**
 * What V1 wants to know of layers (file lists, diffs and tarsums) and what the bridge does (digests of their archives;
 * gzip in the place of rarer compressions): of layers of any size, with gzip, xz, bzip2, zstd or not compressed. The work is done in threads of bounded memory; here only chunks pass through. It starts when its
 * result is first asked for, and ends early when the result is no longer read. A thread that dies fails only its job.
 */
export class LayerAnalysis {
  readonly #layers: WorkerPool;
  /** Apart from the layers': a diff may have to wait until the file lists of ancestors have been made. */
  readonly #diffs: WorkerPool;
  /** Apart from those: a store full of old layers takes hours, and nobody's file list, push or pull must suffer from it. */
  readonly #examinations: WorkerPool;

  constructor({ workers = 1, idleMilliseconds = 10_000, heapMegabytes = 256 }: LayerAnalysisOptions = {}) {
    this.#layers = new WorkerPool({ workers, idleMilliseconds, heapMegabytes });
    this.#diffs = new WorkerPool({ workers, idleMilliseconds, heapMegabytes });
    this.#examinations = new WorkerPool({ workers, idleMilliseconds, heapMegabytes, yields: true });
  }

  /**
   * The rows `[name, type, is_deleted, size, mtime, mode, uid, gid]` of what is in a layer, as JSON text in Python's form;
   * of an empty layer there are none. Fails with LAYER_UNSUPPORTED, possibly after some text, or as `layer` fails.
   */
  files(layer: AsyncIterable<Uint8Array>, options: AnalysisOptions = {}): AsyncGenerator<Uint8Array> {
    return run(this.#layers, { kind: "files" }, layer, options);
  }

  /**
   * `{"deleted": {name: [type, …], …}, "changed": {…}, "created": {…}}` as JSON text, of a layer's file list against those
   * of its ancestors, the nearest first; these are opened one by one and no more than needed. Fails as the lists fail, or
   * with a fault when one is damaged.
   */
  async *diff(
    own: AsyncIterable<Uint8Array>,
    ancestors: Iterable<() => Promise<AsyncIterable<Uint8Array>>>,
    options: AnalysisOptions = {},
  ): AsyncGenerator<Uint8Array> {
    try {
      yield* run(this.#diffs, { kind: "diff" }, listsOf(own, ancestors), options);
    } finally {
      letGo(own);
    }
  }

  /** The checksum that docker before 0.10 claims, over an image's JSON and layer. Rejects like `files`. */
  async tarsum(json: Uint8Array, layer: AsyncIterable<Uint8Array>, options: AnalysisOptions = {}): Promise<string> {
    return await textOf(run(this.#layers, { kind: "tarsum", json }, layer, options));
  }

  /**
   * What OCI has to know of a layer, or why it can't be read; `algorithm` is that of its digest. Rejects as `layer` does.
   */
  async examine(
    layer: AsyncIterable<Uint8Array>,
    algorithm: Algorithm = "sha256",
    options: AnalysisOptions = {},
  ): Promise<Examination> {
    const examination: unknown = JSON.parse(
      await textOf(run(this.#examinations, { kind: "examine", algorithm }, layer, options)),
    );
    if (!isExamination(examination)) throw new Error("An examination of a layer has no result");
    return examination;
  }

  /** The layer's archive with gzip, the same bytes for the same archive on every machine. Fails like `files`. */
  repack(layer: AsyncIterable<Uint8Array>, options: AnalysisOptions = {}): AsyncGenerator<Uint8Array> {
    return run(this.#examinations, { kind: "repack" }, layer, options);
  }

  /** Ends the threads; work that goes on fails. */
  async close(): Promise<void> {
    await Promise.all([this.#layers, this.#diffs, this.#examinations].map(async (pool) => pool.close()));
  }
}

async function textOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of source) text += Buffer.from(chunk).toString("latin1");
  return text;
}

async function* run(
  pool: WorkerPool,
  task: Task,
  source: AsyncIterable<Uint8Array>,
  { signal }: AnalysisOptions,
): AsyncGenerator<Uint8Array> {
  const input = new MessageChannel();
  const output = new MessageChannel();
  let worker: LayerWorker | undefined;
  let isDone = false;
  let sourceFailure: { readonly error: unknown } | undefined;
  const end = (): void => void worker?.end();
  signal?.addEventListener("abort", end);
  try {
    worker = await pool.acquire(signal);
    signal?.throwIfAborted();
    worker.post({ task, input: input.port2, output: output.port2 }, [input.port2, output.port2]);
    sendStream(source, input.port1).catch((error: unknown) => {
      sourceFailure = { error };
    });
    yield* receivedStream(output.port1, 4);
    isDone = true;
  } catch (error) {
    signal?.throwIfAborted();
    if (sourceFailure !== undefined) throw sourceFailure.error;
    if (error instanceof ThreadEnded) await worker?.ended;
    throw worker?.failure ?? error;
  } finally {
    signal?.removeEventListener("abort", end);
    // Who stops reading must not leave the thread working on what nobody wants, and what has failed may leave behind
    // what it had not let go of.
    if (!isDone) await worker?.end();
    input.port1.close();
    output.port1.close();
    letGo(source);
  }
}

/** Of a stream that nobody has begun to read, ending its iterator lets nothing go. */
function letGo(source: AsyncIterable<Uint8Array>): void {
  if (source instanceof Readable) source.destroy();
}

async function* listsOf(
  own: AsyncIterable<Uint8Array>,
  ancestors: Iterable<() => Promise<AsyncIterable<Uint8Array>>>,
): AsyncGenerator<Uint8Array> {
  yield listStart;
  yield* own;
  for (const open of ancestors) {
    yield listStart;
    yield* await open();
  }
}
