import type { Worker } from "node:worker_threads";
import { RegistryError } from "../errors.ts";
import { startThread } from "../thread.ts";
import { FairQueue } from "./fair-queue.ts";
import type { HashTask } from "./hash-thread.ts";
import type { PasswordCheck } from "./password-hash.ts";

/** On whose account something is hashed. */
export interface Asker {
  /** The address that it comes from: addresses take turns. */
  readonly lane: string;
  /** Whether they have logged in from there before: they go before all others. */
  readonly isKnown: boolean;
}

/** How much may be going on. */
export interface HashingOptions {
  /** How many tasks may wait; more are turned away. */
  readonly mostWaiting?: number;
  /** A thread that has had nothing to do for so many milliseconds is ended. */
  readonly idleMilliseconds?: number;
}

interface Job {
  readonly lane: string;
  readonly task: HashTask;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Hashes passwords in one thread, one after the other, so that neither the event loop nor the machine is busy with logins
 * alone. Rejects with TOOMANYREQUESTS when too many wait, of which those of the busiest address are turned away first.
 */
export class Hashing {
  readonly #known: FairQueue<Job>;
  readonly #strangers: FairQueue<Job>;
  readonly #idleMilliseconds: number;
  #thread: Worker | undefined;
  #running: Job | undefined;
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;
  #began = 0;
  /** How long a task took of late, in milliseconds. */
  #usual = 250;

  constructor({ mostWaiting = 32, idleMilliseconds = 60_000 }: HashingOptions = {}) {
    this.#known = new FairQueue(mostWaiting);
    this.#strangers = new FairQueue(mostWaiting);
    this.#idleMilliseconds = idleMilliseconds;
  }

  /** Whether the password is right. */
  async check(check: PasswordCheck, asker: Asker): Promise<boolean> {
    return (await this.#run({ kind: "check", ...check }, asker)) === true;
  }

  /** A new hash, by bcrypt. */
  async hash(password: string, cost: number, asker: Asker): Promise<string> {
    return String(await this.#run({ kind: "hash", password, cost }, asker));
  }

  /** Ends the thread; what is asked of it rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread?.terminate();
    this.#next();
  }

  async #run(task: HashTask, { lane, isKnown }: Asker): Promise<unknown> {
    return await new Promise((resolve, reject) => {
      const queue = isKnown ? this.#known : this.#strangers;
      queue.add({ lane, task, resolve, reject })?.reject(this.#tooMany());
      this.#next();
    });
  }

  #next(): void {
    if (this.#running) return;
    const job = this.#known.next() ?? this.#strangers.next();
    if (!job) {
      this.#rest();
    } else if (this.#isClosed) {
      job.reject(new Error("no more passwords are checked: the server stops"));
      this.#next();
    } else {
      clearTimeout(this.#idle);
      this.#running = job;
      this.#began = Date.now();
      this.#thread ??= this.#started();
      this.#thread.ref();
      this.#thread.postMessage(job.task);
    }
  }

  #rest(): void {
    // `close` waits for the thread's end.
    if (this.#isClosed) return;
    this.#thread?.unref();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      const thread = this.#thread;
      // At once: what comes while it ends is another one's.
      this.#thread = undefined;
      void thread?.terminate();
    }, this.#idleMilliseconds).unref();
  }

  #started(): Worker {
    const thread = startThread("hash-thread", new URL("hash-thread.ts", import.meta.url));
    let failure: Error | undefined;
    thread.on("message", (result: unknown) => {
      this.#usual = Math.round((this.#usual + Date.now() - this.#began) / 2);
      this.#end()?.resolve(result);
      this.#next();
    });
    thread.on("error", (error) => {
      failure = error;
    });
    thread.on("exit", () => {
      if (this.#thread !== thread) return;
      this.#thread = undefined;
      this.#end()?.reject(failure ?? new Error("the thread that checks passwords has ended"));
      this.#next();
    });
    return thread;
  }

  #end(): Job | undefined {
    const job = this.#running;
    this.#running = undefined;
    return job;
  }

  #tooMany(): RegistryError {
    const retryAfter = Math.ceil(((this.#known.size + this.#strangers.size) * this.#usual) / 1000);
    return new RegistryError("TOOMANYREQUESTS", { detail: "too many log in at once", retryAfter });
  }
}
