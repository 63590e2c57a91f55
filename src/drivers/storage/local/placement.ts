import { constants } from "node:fs";
import { copyFile, lstat, rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { renameFile, syncContent, withFile } from "./calls.ts";
import { codeOf } from "./failure.ts";
import { attempts, linkInTheWay, type Folders } from "./folders.ts";
import type { Temporaries } from "./temporaries.ts";

/** As `place`; the name is on the disk when this resolves. */
export async function placeDurably(
  from: string,
  to: string,
  folders: Folders,
  temporaries: Temporaries,
): Promise<void> {
  await place(from, to, folders, temporaries);
  await folders.settle(dirname(to));
}

/**
 * Gives the file at `from`, whose content is on the disk, the name `to` instead of what had it. Makes the folders that are
 * missing. Rejects with the file system's errors; ENOENT: there is no `from`.
 */
export async function place(from: string, to: string, folders: Folders, temporaries: Temporaries): Promise<void> {
  const folder = dirname(to);
  for (let attempt = 1; ; attempt++) {
    try {
      await folders.make(folder);
      if (!(await folders.isPlain(folder))) throw linkInTheWay(to);
      await renameAnywhere(from, to, temporaries);
      return;
    } catch (error) {
      if (attempt === attempts || !(await isRemedied(error, from, to, folders))) throw error;
    }
  }
}

/** Copies content to the disk; shares the blocks where the file system can. */
export async function copyDurably(from: string, to: string): Promise<void> {
  // No hard link: a peer that overwrites files in place would change both.
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  await withFile(to, syncContent);
}

/**
 * Whether it is worth trying again: the folder was removed and will be made again, or an empty one had the name and is
 * removed.
 */
async function isRemedied(error: unknown, from: string, to: string, folders: Folders): Promise<boolean> {
  switch (codeOf(error)) {
    case "ENOENT":
      await lstat(from);
      folders.forget(dirname(to));
      return true;
    case "EISDIR":
      folders.forget(to);
      return await rmdir(to).then(
        () => true,
        () => false,
      );
    default:
      return false;
  }
}

async function renameAnywhere(from: string, to: string, temporaries: Temporaries): Promise<void> {
  try {
    await renameFile(from, to);
  } catch (error) {
    if (codeOf(error) !== "EXDEV") throw error;
    // A folder of the store is on another disk. A name appears at once only within one, so the content goes there
    // first.
    const { path, forget } = await temporaries.beside(to);
    try {
      await copyDurably(from, path);
      await renameFile(path, to);
    } finally {
      await forget();
    }
    await rm(from, { force: true });
  }
}
