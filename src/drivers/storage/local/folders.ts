import { rmdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { makeFolder, statName } from "./calls.ts";
import { codeOf } from "./failure.ts";
import { FolderSync } from "./folder-sync.ts";
import type { Ordering } from "./ordering.ts";

/** For so long a folder that was seen is taken to be still no link, in milliseconds. */
const believed = 3_000;
/** So many folders are remembered at most. */
const remembered = 20_000;

type Kind = "folder" | "link" | "other";

/** A folder that is no link. */
interface Seen {
  /** When that is to be looked at again. */
  readonly until: number;
  readonly device: number;
}

/**
 * The folders below a root: makes them, removes empty ones, brings them to the disk, knows where links lead.
 */
export class Folders {
  readonly root: string;
  readonly #device: number;
  readonly #making = new Map<string, Promise<void>>();
  readonly #seen = new Map<string, Seen>();
  /** Folders in which a folder was made that the disk may not know yet; each time with another number. */
  readonly #unsynced = new Map<string, number>();
  readonly #ordering: Ordering;
  readonly #disk: FolderSync;
  #made = 0;

  /** `root` must be a real path, absolute and without links; `device` is what stat(2) says of it. */
  constructor({
    root,
    device,
    ordering,
  }: {
    readonly root: string;
    readonly device: number;
    readonly ordering: Ordering;
  }) {
    this.root = root;
    this.#device = device;
    this.#ordering = ordering;
    this.#disk = new FolderSync(ordering);
  }

  /**
   * Whether `folder` is what its name says. It is not when a link stands in its path, other than one directly below the
   * root. Rejects with ENOENT when it does not exist. A folder that was replaced by a link in the last seconds may count as
   * what it was.
   */
  async isPlain(folder: string): Promise<boolean> {
    return (await this.#kind(folder)) !== "link";
  }

  /**
   * Makes `folder` and what is missing above it; `settle` brings them to the disk. Rejects with ELOOP where a link is in the
   * way, with EEXIST where a file is.
   */
  async make(folder: string): Promise<void> {
    await this.#makeOnce(folder, false);
  }

  /** To be called when `folder` has turned out to be missing. */
  forget(folder: string): void {
    this.#seen.delete(folder);
  }

  /** Whether the disk gets all names in these folders strictly in the order in which they are given. */
  async keepOrder(folders: readonly string[]): Promise<boolean> {
    const devices = new Set((await this.#devices(new Set(folders))).values());
    const [device] = devices;
    return devices.size === 1 && device !== undefined && (await this.#ordering.has(device));
  }

  /** Waits until the disk has the names in `folders`, and all folders on the way to them. */
  async settle(...folders: readonly string[]): Promise<void> {
    const wanted = new Set(folders);
    if (this.#unsynced.size > 0) {
      for (const folder of folders) {
        for (let path = folder; path.length > this.root.length;) {
          path = dirname(path);
          if (this.#unsynced.has(path)) wanted.add(path);
        }
      }
    }
    const numbers = Array.from(wanted, (folder) => [folder, this.#unsynced.get(folder)] as const);
    await this.#disk.sync(await this.#devices(wanted));
    for (const [folder, number] of numbers) if (this.#unsynced.get(folder) === number) this.#unsynced.delete(folder);
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
      this.forget(folder);
      folder = dirname(folder);
    }
    return folder;
  }

  async #makeOnce(folder: string, isBelowMissing: boolean): Promise<void> {
    if (this.#isKnown(folder)) return;
    const pending = this.#making.get(folder);
    const work = pending ?? this.#make(folder, isBelowMissing).finally(() => this.#making.delete(folder));
    if (!pending) this.#making.set(folder, work);
    await work;
  }

  /** Of what is above something missing, all that was there has just been seen: the rest is made without a look. */
  async #make(folder: string, isBelowMissing: boolean): Promise<void> {
    const parent = dirname(folder);
    if (isBelowMissing) await this.#makeOnce(parent, true);
    // A delete may remove the parent between the two steps, again and again under load; each time it is made anew.
    for (let attempt = 1; !(await this.#makeOne(folder)); attempt++) {
      if (attempt === attempts) throw new Error(`${folder} is removed as fast as it is made`);
      this.forget(parent);
      await this.#makeOnce(parent, true);
    }
  }

  /** Whether `folder` is there now; if not, its parent is missing. */
  async #makeOne(folder: string): Promise<boolean> {
    const parent = dirname(folder);
    try {
      if (!(await this.isPlain(parent))) throw linkInTheWay(folder);
      const device = await this.#deviceOf(parent);
      await makeFolder(folder);
      this.#remember(folder, device);
      this.#unsynced.set(parent, ++this.#made);
      return true;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return false;
      if (codeOf(error) !== "EEXIST") throw error;
      const found = await this.#kind(folder).catch(() => undefined);
      if (found === "link") throw linkInTheWay(folder);
      if (found === "other") throw error;
      return found !== undefined;
    }
  }

  async #kind(folder: string): Promise<Kind> {
    if (this.#isKnown(folder)) return "folder";
    const parent = dirname(folder);
    if ((await this.#kind(parent)) === "link") return "link";
    let found = await statName(folder);
    if (found.isSymbolicLink()) {
      if (parent !== this.root) return "link";
      found = await stat(folder);
    }
    if (!found.isDirectory()) return "other";
    this.#remember(folder, found.dev);
    return "folder";
  }

  #isKnown(folder: string): boolean {
    return this.#knownDevice(folder) !== undefined;
  }

  #knownDevice(folder: string): number | undefined {
    if (folder === this.root) return this.#device;
    const seen = this.#seen.get(folder);
    return seen && seen.until > performance.now() ? seen.device : undefined;
  }

  async #deviceOf(folder: string): Promise<number> {
    return this.#knownDevice(folder) ?? (await stat(folder)).dev;
  }

  /** On which device each of the folders is that are still there. */
  async #devices(folders: Iterable<string>): Promise<ReadonlyMap<string, number>> {
    const devices = new Map<string, number>();
    for (const folder of folders) {
      try {
        devices.set(folder, await this.#deviceOf(folder));
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
      }
    }
    return devices;
  }

  #remember(folder: string, device: number): void {
    const now = performance.now();
    this.#seen.delete(folder);
    this.#seen.set(folder, { until: now + believed, device });
    for (const [oldest, { until }] of this.#seen) {
      if (this.#seen.size <= remembered && now < until) break;
      this.#seen.delete(oldest);
    }
  }
}

/** How often a step is tried anew because a delete has removed a folder meanwhile. */
export const attempts = 100;

/** The error that a file system would give that does not follow links. */
export function linkInTheWay(path: string): Error {
  return Object.assign(new Error(`${path} leads through a symbolic link`), { code: "ELOOP" });
}
