import { syncAll, withFile } from "./calls.ts";
import { codeOf } from "./failure.ts";

interface Batch {
  readonly folders: Set<string>;
  /** Why folders could not be synced. */
  readonly failures: Promise<ReadonlyMap<string, unknown>>;
}

/**
 * Brings names in folders to the disk: a rename or an unlink is in memory only until its folder is synced. One batch is on
 * its way at a time and the next gathers meanwhile, so that a folder which many wait for is synced once for all of them.
 */
export class FolderSync {
  #next: Batch | undefined;
  #running: Promise<unknown> = Promise.resolve();

  /**
   * Waits until all names that `folders` have now are on the disk. A folder that is gone has nothing to sync; some file
   * systems sync folders by themselves and refuse to be asked.
   */
  async sync(folders: Iterable<string>): Promise<void> {
    const batch = (this.#next ??= this.#begin());
    const own = [...folders];
    for (const folder of own) batch.folders.add(folder);
    const failures = await batch.failures;
    for (const folder of own) if (failures.has(folder)) throw failures.get(folder);
  }

  #begin(): Batch {
    const folders = new Set<string>();
    const failures = this.#running.then(async () => {
      this.#next = undefined;
      return await syncEach(folders);
    });
    this.#running = failures;
    return { folders, failures };
  }
}

async function syncEach(folders: Iterable<string>): Promise<ReadonlyMap<string, unknown>> {
  const failures = new Map<string, unknown>();
  const sync = async (folder: string): Promise<void> => {
    try {
      await withFile(folder, "r", syncAll);
    } catch (error) {
      if (!["ENOENT", "EINVAL", "ENOTSUP"].includes(codeOf(error))) failures.set(folder, error);
    }
  };
  await Promise.all(Array.from(folders, sync));
  return failures;
}
