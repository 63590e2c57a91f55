import type { Transferable, Worker } from "node:worker_threads";
import { startThread } from "../../thread.ts";
import type { Job, WorkerSettings } from "./worker.ts";

/** Chunks are let go with the young objects that held them: the less room there is for these, the sooner. */
const youngMegabytes = 3;

export interface LayerWorkerOptions {
  /** What a worker's JavaScript objects may take; a worker that needs more ends. Buffers and WebAssembly come on top. */
  readonly heapMegabytes: number;
  /** Whether other threads have the processor first. */
  readonly yields?: boolean;
}

/** One thread that runs `worker.ts`. */
export class LayerWorker {
  /** Settles when the thread is gone, for whatever reason. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  #failure: Error | undefined;
  #isEnding = false;

  constructor({ heapMegabytes, yields = false }: LayerWorkerOptions, onFree: () => void) {
    this.#worker = started(heapMegabytes, { yields });
    this.#worker.on("message", onFree);
    this.#worker.on("error", (error) => {
      this.#failure = error;
    });
    this.ended = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        resolve();
      });
    });
  }

  /** What the thread died of, once it has. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  post(job: Job, transferred: readonly Transferable[]): void {
    this.#worker.postMessage(job, transferred);
  }

  /** Whether the process goes on for this thread's sake; it always does until one that is told to end has ended. */
  holdProcess(hold: boolean): void {
    if (hold) this.#worker.ref();
    else if (!this.#isEnding) this.#worker.unref();
  }

  /** Ends the thread, in the middle of what it does. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#worker.terminate();
  }
}

function started(heapMegabytes: number, workerData: WorkerSettings): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: heapMegabytes, maxYoungGenerationSizeMb: youngMegabytes };
  return startThread("layer-worker", new URL("worker.ts", import.meta.url), { resourceLimits, workerData });
}
