import { spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The built program, as users run it: it starts in a quarter of the time that its sources take. */
export const bin = fileURLToPath(new URL("../../bin/registryctl.js", import.meta.url));

/** A new folder below the system's temporary one. */
export async function temporaryFolder(name = "registryctl"): Promise<string> {
  return await mkdtemp(join(tmpdir(), `${name}-`));
}

/** Removes what `temporaryFolder` made; nothing where a skipped suite never asked for one. */
export async function removeFolder(path: string | undefined): Promise<void> {
  if (path !== undefined) await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** Ports that the system gives to nobody who does not ask for them; each process that runs tests has a thousand of its own. */
const ports = { first: 20_000 + (Number(process.env["MOCHA_WORKER_ID"] ?? 0) % 12) * 1_000, count: 1_000 };
let turn = randomInt(ports.count);

/** A TCP port of 127.0.0.1 that is free, and stays so until a program listens that is started on it, or started again. */
export async function freePort(): Promise<number> {
  const port = ports.first + (turn++ % ports.count);
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return await freePort();
  }
  server.close();
  await once(server, "close");
  return port;
}

/** Waits until `condition` answers something truthy; fails with `what` after `seconds`. */
export async function until<T>(what: string, condition: () => Promise<T> | T, seconds = 45): Promise<NonNullable<T>> {
  const deadline = Date.now() + seconds * 1000;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`timed out waiting for ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * What a program is started with: `env`, but no note of what it covers. Tests of sources have the notes; those of programs would
 * take a quarter of the time of all tests, and memory where that is measured.
 */
export function uncovered(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, NODE_V8_COVERAGE: "" };
}

/** A program started by a test, with all that it printed; `stop` ends it and waits. */
export class Program {
  readonly child: ChildProcess;
  readonly exited: Promise<number | NodeJS.Signals>;
  output = "";

  constructor(
    command: string,
    args: readonly string[],
    options: { cwd?: string; env?: NodeJS.ProcessEnv; uid?: number; gid?: number } = {},
  ) {
    const env = uncovered(options.env);
    this.child = spawn(command, args, { ...options, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
    this.exited = new Promise((resolve) => {
      this.child.once("exit", (code, signal) => {
        const end = (): void => {
          clearTimeout(timer);
          resolve(signal ?? code ?? 0);
        };
        // What it printed last may come after its end; a program that it started may hold the pipes for ever.
        const timer = setTimeout(end, 5_000);
        this.child.once("close", end);
      });
      this.child.once("error", (error) => {
        this.output += error.message;
        resolve(127);
      });
    });
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits for `ready`; fails with the program's output if it ends before. */
  async ready(what: string, ready: () => unknown, seconds?: number): Promise<this> {
    try {
      await until(
        what,
        async () => {
          if (!this.running) return "ended";
          return await ready();
        },
        seconds,
      );
    } catch (error) {
      throw new Error(`${what} is not ready:\n${this.output}`, { cause: error });
    }
    if (!this.running) throw new Error(`${what} ended at its start:\n${this.output}`);
    return this;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> {
    if (this.running) this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 30_000);
    const result = await this.exited;
    clearTimeout(timer);
    return result;
  }
}
