import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { JobInput, JobName, JobResult } from "./jobs.ts";

/** What a job came to, and the CPU that the client itself needed for it. */
export interface LoadResult<T> {
  readonly result: T;
  readonly cpuSeconds: number;
}

interface Reply {
  readonly id: number;
  readonly cpuSeconds: number;
  readonly result?: unknown;
  readonly failure?: string;
}

/** Seconds after which a job counts as hung; seeding thousands of repositories into a slow server takes a minute. */
const longestJob = 600;

/** A process that puts load on a server. */
export class Load {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #orders = 0;

  constructor() {
    this.#child = fork(fileURLToPath(new URL("./process.ts", import.meta.url)), { execArgv: ["--import=tsx"] });
    this.#child.on("message", (message) => {
      const reply = parseReply(message);
      this.#waiting.get(reply.id)?.(reply);
    });
    this.#child.on("exit", () => {
      for (const [id, settle] of this.#waiting) settle({ id, cpuSeconds: 0, failure: "The load process ended" });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Runs a job; rejects with what went wrong in it, or when it takes ten minutes. */
  async run<Name extends JobName>(name: Name, input: JobInput<Name>): Promise<LoadResult<JobResult<Name>>> {
    const id = ++this.#orders;
    const reply = await new Promise<Reply>((resolve) => {
      const timer = setTimeout(() => {
        resolve({ id, cpuSeconds: 0, failure: `${name} took more than ${longestJob} s` });
      }, longestJob * 1000);
      this.#waiting.set(id, (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.#child.send({ id, name, input });
    });
    this.#waiting.delete(id);
    if (reply.failure !== undefined) throw new Error(reply.failure);
    return { result: parseResult<Name>(reply.result), cpuSeconds: reply.cpuSeconds };
  }

  /** Ends the process and what it is doing. */
  stop(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Our own processes at both ends: what arrives is what was sent. */
function parseReply(message: unknown): Reply {
  return message as Reply;
}

function parseResult<Name extends JobName>(result: unknown): JobResult<Name> {
  return result as JobResult<Name>;
}
