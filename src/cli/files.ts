import { randomUUID } from "node:crypto";
import { link, open, readFile, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { CommandError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** A file to be written; `secret` ones are readable by their owner alone. */
export interface NewFile {
  readonly path: string;
  readonly content: string;
  readonly secret?: boolean;
}

/**
 * Writes all files or none, each whole or not at all. Without `force` a file that exists is a failure, also when it
 * appears at the same moment, and stays as it is.
 */
export async function writeFiles(files: readonly NewFile[], force: boolean): Promise<void> {
  const steps = files.map((file) => {
    const unique = `${file.path}.${randomUUID()}`;
    return { file, path: file.path, temporary: `${unique}.tmp`, kept: `${unique}.old` };
  });
  const done: (typeof steps)[number][] = [];
  try {
    for (const { file, temporary } of steps) await writeDurably(temporary, file);
    for (const step of steps) {
      if (force) {
        await keep(step.path, step.kept);
        await rename(step.temporary, step.path);
      } else {
        await link(step.temporary, step.path);
      }
      done.push(step);
    }
  } catch (error) {
    for (const { path, kept } of done) {
      await rm(path);
      await keep(kept, path);
    }
    throw explained(error, files);
  } finally {
    for (const { temporary, kept } of steps) {
      await remove(temporary);
      await remove(kept);
    }
  }
}

/** What is in a file that an option names. Fails with the name of the option. */
export async function readNamed(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new CommandError("failed", `${flag} ${path} cannot be read`, { cause: error });
  }
}

/** Its first line alone: a password, which editors end with a newline. */
export async function firstLine(flag: string, path: string): Promise<string> {
  return (await readNamed(flag, path)).split(/\r?\n/)[0] ?? "";
}

/** The first line of stdin: a password, which `echo` ends with a newline. */
export async function firstLineOfInput({ io }: Terminal): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of io.stdin as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks).toString().split(/\r?\n/)[0] ?? "";
}

/** Prints what a command generated, or writes it to the file of `--output` and says so. */
export async function deliver(
  terminal: Terminal,
  content: string,
  { output, force }: { readonly output?: string | undefined; readonly force?: true | undefined },
): Promise<void> {
  if (output === undefined || output === "-") {
    await terminal.print(content);
    return;
  }
  const path = resolve(terminal.io.cwd, output);
  await writeFiles([{ path, content }], force ?? false);
  await terminal.note(`wrote ${path}`);
}

async function keep(path: string, copy: string): Promise<void> {
  try {
    await link(path, copy);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Where there is no folder there is no file: that must not hide why nothing could be written. */
async function remove(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOTDIR")) throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

async function writeDurably(path: string, { content, secret }: NewFile): Promise<void> {
  const handle = await open(path, "wx", secret ? 0o600 : 0o644);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function explained(error: unknown, files: readonly NewFile[]): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error;
  const path = "dest" in error && typeof error.dest === "string" ? error.dest : files[0]?.path;
  if (error.code === "EEXIST") return new CommandError("failed", `${path ?? "the file"} exists; --force replaces it`);
  // Of the path, not of the temporary file beside it.
  const message = error.message.replaceAll(/\.[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\.(tmp|old)/g, "");
  return new CommandError("failed", `cannot write ${path ?? "the file"}: ${message}`);
}
