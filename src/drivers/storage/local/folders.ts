import { mkdir, open, realpath, rmdir, stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { codeOf } from "./failure.ts";

/**
 * Waits until the names in `folder` are on the disk: a rename or an unlink is in memory only until its folder is
 * synced. A folder that is gone has nothing to sync; some file systems sync folders by themselves and refuse to be
 * asked.
 */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!["ENOENT", "EINVAL", "ENOTSUP"].includes(codeOf(error))) throw error;
  }
}

/**
 * The folders below a root: makes them so that they outlive a power cut, removes empty ones, knows where links lead.
 */
export class Folders {
  readonly root: string;
  readonly #making = new Map<string, Promise<void>>();

  /** `root` must be a real path: absolute and without links. */
  constructor(root: string) {
    this.root = root;
  }

  /**
   * Whether `folder` is what its name says. It is not when a link stands in its path, other than one directly below the
   * root. Rejects with ENOENT when it does not exist.
   */
  async isPlain(folder: string): Promise<boolean> {
    const real = await realpath(folder);
    if (real === folder) return true;
    const [top = ""] = relative(this.root, folder).split(sep, 1);
    const linked = join(this.root, top);
    return real === (await realpath(linked)) + folder.slice(linked.length);
  }

  /**
   * Makes `folder` and what is missing above it; each new one is on the disk when this resolves. Rejects with ELOOP
   * where a link is in the way.
   */
  async make(folder: string): Promise<void> {
    if (folder === this.root) return;
    const pending = this.#making.get(folder);
    const work = pending ?? this.#make(folder).finally(() => this.#making.delete(folder));
    if (!pending) this.#making.set(folder, work);
    await work;
  }

  /** Waits for folders on the way to `folder` that another write has made and not yet seen on the disk. */
  async settled(folder: string): Promise<void> {
    for (let path = folder; path.length > this.root.length; path = dirname(path)) await this.#making.get(path);
  }

  /**
   * Removes the empty folders above `path`, except the root and those directly below it (an operator may have made
   * them). Answers the first that stays. A write that needs one of them at the same time makes it again.
   */
  async removeEmptyAbove(path: string): Promise<string> {
    let folder = dirname(path);
    while (folder !== this.root && dirname(folder) !== this.root) {
      try {
        await rmdir(folder);
      } catch (error) {
        // Somebody else may just have removed it: go on with its parent. Anything else means that it stays.
        if (codeOf(error) !== "ENOENT") break;
      }
      folder = dirname(folder);
    }
    return folder;
  }

  async #make(folder: string): Promise<void> {
    // A delete may remove the parent between the two steps, again and again under load; each time it is made anew.
    for (let attempt = 1; !(await this.#makeOne(folder)); attempt++) {
      if (attempt === attempts) throw new Error(`${folder} is removed as fast as it is made`);
      await this.make(dirname(folder));
    }
    await syncFolder(dirname(folder));
  }

  /** Whether `folder` is there now; if not, its parent is missing. */
  async #makeOne(folder: string): Promise<boolean> {
    try {
      if (!(await this.isPlain(dirname(folder)))) throw linkInTheWay(folder);
      await mkdir(folder);
      return true;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return false;
      if (codeOf(error) !== "EEXIST") throw error;
      const found = await stat(folder).catch(() => undefined);
      if (found && !found.isDirectory()) throw error;
      return found !== undefined;
    }
  }
}

/** How often a step is tried anew because a delete has removed a folder meanwhile. */
export const attempts = 100;

/** The error that a file system would give that does not follow links. */
export function linkInTheWay(path: string): Error {
  return Object.assign(new Error(`${path} leads through a symbolic link`), { code: "ELOOP" });
}
