import { randomUUID } from "node:crypto";
import { closeSync, fstatSync } from "node:fs";
import { lstat, mkdir, open, readdir, readlink, rm, rmdir, symlink, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Stat } from "../driver.ts";
import { openFile, syncContent, writeBytes } from "./calls.ts";
import { codeOf } from "./failure.ts";
import { runs, thisOwner, type Owner } from "./owner.ts";

/** What the names of files begin with that had to be written beside their target. */
export const strayPrefix = ".registryctl-";

const day = 24 * 60 * 60 * 1000;

/**
 * The files that writes in progress go to: `<folder>/<owner>/<uuid>`. A process that is killed leaves its own behind;
 * the next one on the host removes them. What another host left (or another container: there is no telling whether it
 * still runs) goes when nothing in it has changed for a day.
 */
export class Temporaries {
  readonly #folder: string;
  readonly #owner: Owner;

  private constructor(folder: string, owner: Owner) {
    this.#folder = folder;
    this.#owner = owner;
  }

  static async in(folder: string): Promise<Temporaries> {
    return new Temporaries(folder, await thisOwner());
  }

  /** A path that nothing has, in a folder that exists. */
  async reserve(): Promise<string> {
    await mkdir(join(this.#folder, this.#owner), { recursive: true });
    return this.#path();
  }

  /** A new empty file. Whoever asks for it renames or removes it. */
  async create(): Promise<{ readonly path: string; readonly handle: FileHandle }> {
    const path = this.#path();
    try {
      return { path, handle: await open(path, "wx") };
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      await mkdir(dirname(path), { recursive: true });
      return { path, handle: await open(path, "wx") };
    }
  }

  /**
   * A new file with this content, which is on the disk when this resolves. Whoever asks for it renames or removes it.
   */
  async hold(bytes: Uint8Array): Promise<{ readonly path: string; readonly stat: Stat }> {
    const path = this.#path();
    const descriptor = await openFile(path, "wx").catch(async (error: unknown) => {
      if (codeOf(error) !== "ENOENT") throw error;
      await mkdir(dirname(path), { recursive: true });
      return await openFile(path, "wx");
    });
    try {
      await writeBytes(descriptor, bytes, 0);
      await syncContent(descriptor);
      const { size, mtime } = fstatSync(descriptor);
      return { path, stat: { size, modified: mtime } };
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      closeSync(descriptor);
    }
  }

  /**
   * A path beside `target`, for when the target lies on another file system than the temporaries. `forget` removes what
   * is there. A record among the temporaries says where it is, so that it is found when the process is killed.
   */
  async beside(target: string): Promise<{ readonly path: string; readonly forget: () => Promise<void> }> {
    const path = join(dirname(target), `${strayPrefix}${randomUUID()}`);
    const record = await this.reserve();
    await symlink(path, record);
    const forget = async (): Promise<void> => {
      await rm(path, { force: true });
      await rm(record, { force: true });
    };
    return { path, forget };
  }

  /** Removes what processes left that run no more. Failures are left for the next time. */
  async cleanUp(): Promise<void> {
    const owners = await readdir(this.#folder).catch(() => []);
    for (const owner of owners) {
      if (owner === this.#owner) continue;
      const folder = join(this.#folder, owner);
      try {
        if (!((await runs(owner, this.#owner)) ?? (await isRecent(folder)))) await removeLeftovers(folder);
      } catch (error) {
        if (codeOf(error) === "") throw error;
      }
    }
  }

  /** Removes the process's folder unless a write is still using it. */
  async close(): Promise<void> {
    await rmdir(join(this.#folder, this.#owner)).catch(() => undefined);
  }

  #path(): string {
    return join(this.#folder, this.#owner, randomUUID());
  }
}

async function isRecent(folder: string): Promise<boolean> {
  const paths = [folder, ...(await readdir(folder)).map((name) => join(folder, name))];
  for (const path of paths) if (Date.now() - (await lstat(path)).mtimeMs < day) return true;
  return false;
}

async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if ((await lstat(path)).isSymbolicLink()) {
      const stray = await readlink(path);
      if (basename(stray).startsWith(strayPrefix)) await rm(stray, { force: true });
    }
    await rm(path, { force: true, recursive: true });
  }
  await rmdir(folder);
}
