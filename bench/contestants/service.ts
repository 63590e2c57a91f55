import { spawn, type ChildProcess } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { Connection, requestHead } from "../load/connection.ts";

/** Seconds that a server has to answer at its start, and to end when it is told to. */
const patience = 30;
/** Milliseconds between questions to a server that starts. */
const pause = 2;

const running = new Set<{ kill(): Promise<void> }>();

/** A program that was started for a measurement; what it prints goes to a file in `folder`. */
export class Service {
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly #ended: Promise<void>;
  readonly #start = performance.now();
  #failure: Error | undefined;

  private constructor(child: ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
    this.#ended = new Promise((resolve) => {
      child.once("exit", () => {
        resolve();
      });
      child.once("error", (error) => {
        this.#failure = error;
        resolve();
      });
    });
    running.add(this);
    void this.#ended.then(() => running.delete(this));
  }

  static async start(command: string, args: readonly string[], folder: string): Promise<Service> {
    const log = join(folder, "log");
    const file = await open(log, "a");
    try {
      return new Service(spawn(command, args, { cwd: folder, stdio: ["ignore", file.fd, file.fd] }), log);
    } finally {
      await file.close();
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Milliseconds from the start to the first answer to GET `path` that is not a failure. Fails with the program's log. */
  async answering(url: string, path: string): Promise<number> {
    while (performance.now() - this.#start < patience * 1000) {
      if (this.#child.exitCode !== null || this.#failure) break;
      if (await answers(new URL(url), path)) return performance.now() - this.#start;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    const log = this.#failure?.message ?? (await readFile(this.#log, "utf8")).slice(-2000);
    await this.stop();
    throw new Error(`${this.#child.spawnfile} does not answer ${url}${path}:\n${log}`);
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), patience * 1000);
    await this.#ended;
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

/** Ends every program that still runs, at once. */
export async function killServices(): Promise<void> {
  await Promise.allSettled([...running].map((service) => service.kill()));
}

/** Has `killServices` end something else too, until what is answered is called. */
export function killedToo(kill: () => Promise<void>): () => void {
  const service = { kill };
  running.add(service);
  return () => {
    running.delete(service);
  };
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === "object" && address ? address.port : 0);
      });
    });
  });
}

async function answers(url: URL, path: string): Promise<boolean> {
  try {
    const connection = await Connection.open(url);
    try {
      const { status } = await connection.exchange(requestHead(url, "GET", path, { Connection: "close" }));
      return status < 400;
    } finally {
      connection.close();
    }
  } catch {
    return false;
  }
}
