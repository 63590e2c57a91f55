import { spawn } from "node:child_process";
import { uncovered } from "./program.ts";

/** Where and with what a command runs. */
export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
}

/** Runs a program to its end and answers what it wrote on stdout; fails with all that it wrote when it fails. */
export async function command(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { input = "", cwd } = options;
  const child = spawn(program, args, { cwd, env: uncovered(options.env), stdio: ["pipe", "pipe", "pipe"] });
  const written = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (written.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (written.stderr += text));
  child.stdin.on("error", () => undefined).end(input); // a program may end without reading all
  const code = await new Promise((resolve, reject) => {
    child.once("close", (code, signal) => {
      resolve(signal ?? code);
    });
    child.once("error", reject);
  });
  if (code === 0) return written.stdout;
  throw new Error(`${program} ${args.join(" ")} ended with ${String(code)}:\n${written.stdout}${written.stderr}`);
}
