import { LayerWorker, type LayerWorkerOptions } from "./layer-worker.ts";

export interface WorkerPoolOptions extends LayerWorkerOptions {
  /** How many run at the same time. */
  readonly workers: number;
  /** A worker that has had nothing to do for as long is ended. */
  readonly idleMilliseconds: number;
}

/** Threads for work that would block the event loop, one job at a time each: started when needed, ended when idle. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #workers = new Set<LayerWorker>();
  readonly #idle = new Map<LayerWorker, NodeJS.Timeout>();
  readonly #waiting: Waiting[] = [];
  #isClosed = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  /** A worker for one job; it comes back by itself when it has done it or has ended. First come, first served. */
  async acquire(signal?: AbortSignal): Promise<LayerWorker> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw closed();
    return await new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(new Error("The layer's analysis was not waited for", { cause: signal?.reason }));
      };
      const settled = (): void => {
        signal?.removeEventListener("abort", abort);
      };
      const waiting: Waiting = {
        resolve: (worker) => {
          settled();
          resolve(worker);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.push(waiting);
      this.#assign();
    });
  }

  /** Ends all workers; the jobs that they have fail, and so do those that wait. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
    await Promise.all([...this.#workers].map(async (worker) => worker.end()));
  }

  #assign(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#idleWorker() ?? this.#newWorker();
      if (!worker) return;
      worker.holdProcess(true);
      this.#waiting.shift()?.resolve(worker);
    }
  }

  #idleWorker(): LayerWorker | undefined {
    for (const [worker, timer] of this.#idle) {
      clearTimeout(timer);
      this.#idle.delete(worker);
      return worker;
    }
    return undefined;
  }

  #newWorker(): LayerWorker | undefined {
    if (this.#workers.size >= this.#options.workers) return undefined;
    const worker = new LayerWorker(this.#options, () => {
      this.#rest(worker);
    });
    this.#workers.add(worker);
    void worker.ended.then(() => {
      clearTimeout(this.#idle.get(worker));
      this.#idle.delete(worker);
      this.#workers.delete(worker);
      this.#assign();
    });
    return worker;
  }

  #rest(worker: LayerWorker): void {
    worker.holdProcess(false);
    const timer = setTimeout(() => void worker.end(), this.#options.idleMilliseconds);
    this.#idle.set(worker, timer.unref());
    this.#assign();
  }
}

interface Waiting {
  readonly resolve: (worker: LayerWorker) => void;
  readonly reject: (error: Error) => void;
}

function closed(): Error {
  return new Error("The analysis of layers is closed");
}
