import { PassThrough, Readable } from "node:stream";
import { run } from "../../src/cli/program.ts";
import type { Output } from "../../src/cli/terminal.ts";

/** What a command printed and how it ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The world of a command run in this process; by default an empty environment and no terminal. */
export interface World {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly signal?: AbortSignal;
  /** Lets the command believe that its output is a terminal. */
  readonly terminal?: boolean;
}

/** Runs one command line in this process. */
export async function registryctl(args: readonly string[], world: World = {}): Promise<Outcome> {
  const stdout = new Captured(world.terminal ?? false);
  const stderr = new Captured(world.terminal ?? false);
  const code = await run(args, {
    stdin: Readable.from(world.input === undefined ? [] : [Buffer.from(world.input)]),
    stdout,
    stderr,
    env: world.env ?? {},
    cwd: world.cwd ?? "/",
    signal: world.signal ?? new AbortController().signal,
    force: new AbortController().signal,
    self: ["node", "registryctl"],
    nodeVersion: "20.0.0",
  });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Runs one command line that must succeed, and answers what it printed on stdout. */
export async function succeeds(args: readonly string[], world?: World): Promise<string> {
  const { code, stdout, stderr } = await registryctl(args, world);
  if (code !== 0) throw new Error(`registryctl ${args.join(" ")} ended with ${code}:\n${stderr}`);
  return stdout;
}

class Captured extends PassThrough implements Output {
  readonly isTTY: boolean;
  readonly columns = 80;
  readonly #chunks: Buffer[] = [];

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
    this.on("data", (chunk: Buffer) => this.#chunks.push(chunk));
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString("utf8");
  }
}
