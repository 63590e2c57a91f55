import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Tenure } from "../../claim.ts";
import type { Folders } from "../folders.ts";
import type { Temporaries } from "../temporaries.ts";
import { Journal, type Journaled } from "./journal.ts";
import { recover } from "./recovery.ts";

/** What a journal in `folder` needs to know of the store that `folders` are of. */
export async function journaled(folder: string, folders: Folders): Promise<Journaled> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return { folder, folders, path: (key) => join(folders.root, key), boot: boot.trim() };
}

/**
 * Does what the journal of a process before asks for. Answers a journal for the one process that changes the store; it takes
 * content while its claim is exclusive.
 */
export async function openJournal(
  store: Journaled,
  temporaries: Temporaries,
  { claim, isSole }: Tenure,
): Promise<Journal | undefined> {
  // Whoever had a journal has been told of the claim and has given it up, unless it is dead.
  await recover(store, temporaries);
  if (!isSole) return undefined;
  const journal = new Journal(store);
  const follow = async (isExclusive: boolean): Promise<void> => {
    if (!isExclusive) {
      await journal.suspend();
      return;
    }
    await recover(store, temporaries);
    if (claim.isExclusive) journal.open();
  };
  claim.onChange(async (isExclusive) => {
    // What goes wrong is told by the journal to whoever needs it next.
    await follow(isExclusive).catch(() => undefined);
  });
  if (!claim.isExclusive) await journal.suspend();
  return journal;
}
