import { dirname, join } from "node:path";
import type { Stat } from "../driver.ts";
import type { Folders } from "./folders.ts";
import { syncPresent, type Journal } from "./journal/journal.ts";
import { place } from "./placement.ts";
import type { Temporaries } from "./temporaries.ts";
import { Turns } from "./turns.ts";

/**
 * What changes the objects of a local store; each change is on the disk when it resolves. With a journal, small objects
 * get there by it, and their files when the system gets round to it.
 */
export class Changes {
  readonly #folders: Folders;
  readonly #temporaries: Temporaries;
  readonly #journal: Journal | undefined;
  readonly #turns = new Turns();

  constructor(folders: Folders, temporaries: Temporaries, journal: Journal | undefined) {
    this.#folders = folders;
    this.#temporaries = temporaries;
    this.#journal = journal;
  }

  /** Stores an object at `path`. */
  async put(key: string, path: string, content: Uint8Array): Promise<Stat> {
    const journal = this.#journal;
    if (journal?.isOpen)
      return await this.#turns.take([key], async () => await this.#note(journal, key, path, content));
    return await this.make([key], async () => {
      const temporary = await this.#temporaries.hold(content, true);
      return await this.#kept(temporary.path, async () => {
        await this.place(temporary.path, path);
        return temporary.stat;
      });
    });
  }

  /** Does `work`, which changes the objects at `keys` and brings that to the disk. */
  async make<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const journal = this.#journal;
    if (!journal) return await work();
    return await this.#turns.take(keys, async () => {
      for (const key of keys) await this.#release(journal, key);
      return await work();
    });
  }

  /** To be called when the file of `key` has got another name, `path`: the journal does not know it. */
  async settle(key: string, path: string): Promise<void> {
    if (this.#journal?.has(key)) await syncPresent(path);
  }

  /** Gives a file whose content is on the disk its name; the name is on the disk when this resolves. */
  async place(from: string, to: string): Promise<void> {
    await place(from, to, this.#folders, this.#temporaries);
    await this.#folders.settle(dirname(to));
  }

  /** The journal first: when the object has its name, it must not be lost any more, nor what had the name before. */
  async #note(journal: Journal, key: string, path: string, content: Uint8Array): Promise<Stat> {
    const [held, added] = await Promise.allSettled([
      this.#temporaries.hold(content, false),
      journal.add(key, content),
      this.#folders.make(dirname(path)).catch(() => undefined),
    ]);
    const placed = added.status === "fulfilled" ? added.value : undefined;
    try {
      if (held.status === "rejected") throw held.reason;
      const { path: temporary, stat } = held.value;
      return await this.#kept(temporary, async () => {
        if (placed) {
          await place(temporary, path, this.#folders, this.#temporaries);
        } else {
          // The journal has failed. Without what it says so far, the object can be stored as others are.
          await journal.suspend();
          await syncPresent(temporary);
          await this.place(temporary, path);
        }
        return stat;
      });
    } catch (error) {
      placed?.();
      await this.#release(journal, key);
      throw error;
    } finally {
      placed?.();
    }
  }

  /** Brings the object to the disk as it is, so that the journal need not answer for it any more. */
  async #release(journal: Journal, key: string): Promise<void> {
    if (!journal.has(key)) return;
    if (!journal.isOpen) {
      await journal.suspend();
      return;
    }
    const path = join(this.#folders.root, key);
    await syncPresent(path);
    await this.#folders.settle(dirname(path));
    await journal.add(key, undefined);
  }

  async #kept<T>(temporary: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.#temporaries.remove(temporary);
      throw error;
    }
  }
}
