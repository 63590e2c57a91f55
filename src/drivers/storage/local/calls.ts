import { close, fdatasync, fsync, fstat, futimes, lstat, mkdir, open, rename, write, type Stats } from "node:fs";
import { promisify } from "node:util";

/*
 * Calls of the file system on plain descriptors. On the way of every small file they cost a third of what the same calls
 * on `FileHandle`s do.
 */
export const openFile = promisify<string, string | number, number>(open);
export const closeFile = promisify(close);
export const statFile = promisify<number, Stats>(fstat);
export const statName = promisify<string, Stats>(lstat);
export const syncContent = promisify(fdatasync);
export const syncAll = promisify(fsync);
const setTimes = promisify<number, Date, Date>(futimes);
export const makeFolder: (path: string) => Promise<unknown> = promisify(mkdir);
export const renameFile = promisify(rename);
const writeSome = promisify<number, Uint8Array, number, number, number, number>(write);

/** Writes all of `bytes` from `position` on. */
export async function writeBytes(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await writeSome(descriptor, bytes, done, bytes.length - done, position + done);
  }
}

/** Changes the file, if only its time, and waits until that change is on the disk. */
export async function touchAndSync(descriptor: number): Promise<void> {
  const now = new Date();
  await setTimes(descriptor, now, now);
  await syncAll(descriptor);
}

/** Opens `path`, does `work` with its descriptor and closes it. */
export async function withFile<T>(
  path: string,
  flags: string | number,
  work: (descriptor: number) => Promise<T>,
): Promise<T> {
  const descriptor = await openFile(path, flags);
  try {
    return await work(descriptor);
  } finally {
    await closeFile(descriptor);
  }
}
