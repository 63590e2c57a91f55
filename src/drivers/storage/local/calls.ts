import { closeSync, fdatasync, fsync, futimes, lstat, mkdir, open, openSync, rename, write, type Stats } from "node:fs";
import { promisify } from "node:util";

/*
 * Calls of the file system on plain descriptors. On the way of every small file they cost a third of what the same calls
 * on `FileHandle`s do.
 */
export const openFile = promisify<string, string | number, number>(open);
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

/**
 * Opens what has just been written, copied or changed to sync it, does `work` with its descriptor and closes it. Both at
 * once: it is in the system's memory, and to hand a call to another thread costs more than such a one takes.
 */
export async function withFile<T>(path: string, work: (descriptor: number) => Promise<T>): Promise<T> {
  const descriptor = openSync(path, "r");
  try {
    return await work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
