import type { Stats } from "node:fs";
import { link, lstat, open } from "node:fs/promises";
import { codeOf } from "./failure.ts";
import { copyDurably } from "./placement.ts";

/**
 * Gives the file a second name; copies it where that can't be: on another file system, on one without links, of a file
 * that has too many names or belongs to somebody else. Only for files that are replaced and never written into: the
 * Python registry writes into a layer's file until its image is complete and never after, CNCF Distribution renames
 * files into place, and both delete names, not content.
 */
export async function linkDurably(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!withoutLinks.includes(codeOf(error))) throw error;
    await copyDurably(from, to);
    return;
  }
  // Another program may have written it and left it to the system when the disk sees it.
  const handle = await open(to, "r");
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

const withoutLinks = ["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"];

/** Whether `path` is another name of the file: to rename one to the other keeps both. */
export async function isLink(file: Stats, path: string): Promise<boolean> {
  if (file.nlink === 1) return false;
  const other = await lstat(path).catch(() => undefined);
  return other?.ino === file.ino && other.dev === file.dev;
}
