import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { DriverError } from "../errors.ts";
import { codeOf, notFound, writeFailure } from "./failure.ts";
import { writeFile } from "./file-content.ts";
import { attempts, linkInTheWay, type Folders } from "./folders.ts";

/** What is behind the first `size` bytes of the file from now on. */
export interface Addition {
  readonly size: number;
  readonly source: AsyncIterable<Uint8Array>;
}

/** `StorageDriver.append` for the file at `path`. */
export async function appendToFile(path: string, key: string, addition: Addition, folders: Folders): Promise<void> {
  const { size, source } = addition;
  const handle = await openFor(path, size === 0, folders).catch((error: unknown) => {
    throw codeOf(error) === "ENOENT" ? notFound(key, error) : writeFailure(key, error);
  });
  try {
    await cut(handle, key, size);
    await writeFile(handle, key, source, { position: size, durable: false });
  } finally {
    await handle.close();
  }
}

async function openFor(path: string, isNew: boolean, folders: Folders): Promise<FileHandle> {
  // Without O_NONBLOCK, opening a pipe would wait for its reader.
  const flags = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const folder = dirname(path);
  for (let attempt = 1; ; attempt++) {
    try {
      if (isNew) await folders.make(folder);
      if (!(await folders.isPlain(folder))) throw linkInTheWay(path);
      return await open(path, isNew ? flags | constants.O_CREAT : flags);
    } catch (error) {
      if (!isNew || attempt === attempts || codeOf(error) !== "ENOENT") throw error;
      // A delete has removed the folder meanwhile.
      folders.forget(folder);
    }
  }
}

/** Removes what a broken addition has left behind the first `size` bytes. */
async function cut(handle: FileHandle, key: string, size: number): Promise<void> {
  const file = await handle.stat();
  if (!file.isFile() || file.size < size) throw new DriverError("NOT_FOUND", `${key} has no ${size} bytes`);
  if (file.nlink > 1) throw new DriverError("INVALID_KEY", `${key} shares its content: nothing can be added to it`);
  if (file.size === size) return;
  await handle.truncate(size).catch((error: unknown) => {
    throw writeFailure(key, error);
  });
}
