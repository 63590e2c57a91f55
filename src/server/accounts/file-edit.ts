import { randomUUID } from "node:crypto";
import { chmod, chown, open, readFile, realpath, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** How long another program may be at work on the file, in milliseconds; a lock that is older was left behind. */
const longestEdit = 10_000;
const pauseMilliseconds = 25;
/** So often others may change the file between our look at it and our change, without taking the lock. */
const mostTries = 20;

/**
 * Replaces a file by what `edit` makes of its text, whole or not at all; undefined stands for a file that is missing, and
 * for no change. Programs that do so at the same time take turns, by a lock beside the file; where another one changes the
 * file without it, `edit` is asked again. Owner and rights stay as they were; a new file is its owner's alone. The text
 * has a character a byte. Rejects as `edit` throws, or with an error of the file system.
 */
export async function editFile(path: string, edit: (text: string | undefined) => string | undefined): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const lock = await taken(`${target}.lock`);
  try {
    for (let tries = 1; !(await edited(target, edit)); tries++) {
      if (tries === mostTries) throw new Error(`${target} is changed by others all the time`);
    }
  } finally {
    await lock.close();
    await rm(`${target}.lock`, { force: true });
  }
}

/** Answers false when somebody else has changed the file meanwhile. */
async function edited(path: string, edit: (text: string | undefined) => string | undefined): Promise<boolean> {
  const before = await contentOf(path);
  const text = edit(before);
  if (text === undefined || text === before) return true;
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await written(temporary, text);
    const old = before === undefined ? undefined : await stat(path);
    if (old) {
      await chown(temporary, old.uid, old.gid);
      await chmod(temporary, old.mode & 0o7777);
    }
    if ((await contentOf(path)) !== before) return false;
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  await synced(dirname(path));
  return true;
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function written(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(text, "latin1");
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function synced(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function taken(lock: string): Promise<FileHandle> {
  const deadline = Date.now() + 2 * longestEdit;
  for (;;) {
    try {
      return await open(lock, "wx", 0o600);
    } catch (error) {
      if (!isCode(error, "EEXIST")) throw error;
    }
    const left = await stat(lock).catch(() => undefined);
    if (left && Date.now() - left.mtimeMs > longestEdit) await rm(lock, { force: true });
    else if (Date.now() > deadline) throw new Error(`another program keeps ${lock}`);
    else await pause(pauseMilliseconds);
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
