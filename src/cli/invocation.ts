import { basename, delimiter, dirname, relative } from "node:path";
import type { Io } from "./terminal.ts";

/** How the user starts this program again: a line for the shell, without arguments. */
export function invocation({ self: [interpreter = "node", script = "registryctl"], env, cwd }: Io): string {
  if (env["npm_command"] === "exec") return "npx registryctl";
  if (!/\.[jt]s$/.test(script) && (env["PATH"] ?? "").split(delimiter).includes(dirname(script)))
    return basename(script);
  const near = relative(cwd, script);
  return `${shellWord(basename(interpreter))} ${shellWord(near.startsWith("..") ? script : near)}`;
}

/** A word as a POSIX shell must see it. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
