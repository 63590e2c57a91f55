import { fstatSync } from "node:fs";
import { syncAll, touchAndSync, withFile } from "./calls.ts";
import { codeOf } from "./failure.ts";
import type { Ordering } from "./ordering.ts";

interface Batch {
  /** By the device that each is on. */
  readonly folders: Map<number, Set<string>>;
  /** Why folders could not be synced. */
  readonly failures: Promise<ReadonlyMap<string, unknown>>;
}

/**
 * Brings names in folders to the disk: a rename or an unlink is in memory only until its folder is synced. One batch is on
 * its way at a time and the next gathers meanwhile, so that a folder which many wait for is synced once for all of them;
 * where the disk gets names in their order, one of the folders is synced for all others too.
 */
export class FolderSync {
  readonly #ordering: Ordering;
  #next: Batch | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(ordering: Ordering) {
    this.#ordering = ordering;
  }

  /**
   * Waits until all names that the folders have now are on the disk; `folders` says on which device each is. A folder that
   * is gone has nothing to sync; some file systems sync folders by themselves and refuse to be asked.
   */
  async sync(folders: ReadonlyMap<string, number>): Promise<void> {
    const batch = (this.#next ??= this.#begin());
    for (const [folder, device] of folders) {
      const beside = batch.folders.get(device);
      if (beside) beside.add(folder);
      else batch.folders.set(device, new Set([folder]));
    }
    const failures = await batch.failures;
    for (const folder of folders.keys()) if (failures.has(folder)) throw failures.get(folder);
  }

  #begin(): Batch {
    const folders = new Map<number, Set<string>>();
    const failures = this.#running.then(async () => {
      this.#next = undefined;
      return await this.#syncAll(folders);
    });
    this.#running = failures;
    return { folders, failures };
  }

  async #syncAll(folders: Batch["folders"]): Promise<ReadonlyMap<string, unknown>> {
    const failures = new Map<string, unknown>();
    const sync = async (folder: string): Promise<void> => {
      try {
        await withFile(folder, syncAll);
      } catch (error) {
        if (!["ENOENT", "EINVAL", "ENOTSUP"].includes(codeOf(error))) failures.set(folder, error);
      }
    };
    const syncDevice = async ([device, names]: [number, Set<string>]): Promise<void> => {
      if (names.size > 1 && (await this.#ordering.has(device)) && (await syncByOne(names, device))) return;
      await Promise.all(Array.from(names, sync));
    };
    await Promise.all(Array.from(folders, syncDevice));
    return failures;
  }
}

/**
 * Syncs folders of one device that gets names in their order, by one of them; answers whether that could be done. To sync a
 * folder waits for its own last change only, which is made the last of all by setting its time: a change of an inode is
 * in the journal behind all that was done before, and what comes first there is on the disk first.
 */
async function syncByOne(folders: Iterable<string>, device: number): Promise<boolean> {
  for (const folder of folders) {
    try {
      return await withFile(folder, async (descriptor) => {
        // A link to another disk may have taken its place meanwhile.
        if (fstatSync(descriptor).dev !== device) return false;
        await touchAndSync(descriptor);
        return true;
      });
    } catch (error) {
      // It is gone: another will do. Or it is not ours: each is synced for itself, which tells what else is wrong, too.
      if (codeOf(error) !== "ENOENT") return false;
    }
  }
  return true;
}
