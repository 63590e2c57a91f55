import type { Coherence } from "../coherence.ts";
import type { StorageDriver } from "../driver.ts";
import { isNotFound } from "../errors.ts";
import { isBelow } from "../key-order.ts";
import { NameList } from "./name-list.ts";

/** What the names of folders are remembered of, and within which bounds. */
export interface NamesMemory {
  readonly driver: StorageDriver;
  readonly coherence: Pick<Coherence, "isExclusive">;
  /** These and all below them. */
  readonly folders: readonly string[];
  /** Names in all lists together, and in one. */
  readonly most: number;
  /** Milliseconds until a list is loaded anew. */
  readonly lifetime: number;
}

/** So many names are looked at together: a page, mostly. */
const partSize = 128;
/** A list of which more is uncertain is forgotten: to load it costs no more than to ask for each. */
const mostDoubts = 5_000;

/**
 * Lists of names that are loaded when first asked for; afterwards a listing takes what its taker takes and no more. Of
 * the lists, the most recently used stay.
 */
export class RememberedNames {
  readonly #memory: NamesMemory;
  /** In the order in which they were last used; `weight` is what is counted of each. */
  readonly #lists = new Map<string, { readonly list: NameList; weight: number }>();
  readonly #loading = new Map<string, { readonly list: NameList; readonly done: Promise<NameList> }>();
  #weight = 0;

  constructor(memory: NamesMemory) {
    this.#memory = memory;
  }

  /** Like a driver's. */
  children(prefix: string, after?: string): AsyncIterable<string> {
    const { driver } = this.#memory;
    return this.#isExclusive() && this.covers(prefix) ? this.#children(prefix, after) : driver.children(prefix, after);
  }

  /** Whether the names in the folder may be remembered; then every change below it concerns. */
  covers(prefix: string): boolean {
    return this.#memory.folders.some((folder) => prefix === folder || isBelow(prefix, folder));
  }

  /** Whether a change of the object may change a list. */
  concerns(key: string): boolean {
    return this.#memory.folders.some((folder) => isBelow(key, folder));
  }

  /** Call it when the object was written, or may have been, but surely was not removed. */
  written(key: string): void {
    this.#eachAbove(key, (list, name) => {
      list.written(name);
    });
  }

  /** Call it when anything may have happened to the object. */
  changed(key: string): void {
    this.#eachAbove(key, (list, name) => {
      list.changed(name);
    });
  }

  forget(): void {
    for (const { list } of this.#lists.values()) list.isVoid = true;
    for (const { list } of this.#loading.values()) list.isVoid = true;
    this.#lists.clear();
    this.#loading.clear();
    this.#weight = 0;
  }

  async *#children(prefix: string, after: string | undefined): AsyncGenerator<string> {
    const { driver } = this.#memory;
    const start = prefix === "" ? "" : `${prefix}/`;
    const holds = async (name: string): Promise<boolean> => await holdsObject(driver, start + name);
    let last = after;
    while (this.#isExclusive()) {
      const list = await this.#list(prefix);
      if (list.isTooLong) break;
      const part = await list.part(last ?? "", partSize, holds);
      if (list.isVoid || !this.#isExclusive()) continue;
      yield* part.names;
      if (part.last === undefined) return;
      last = part.last;
    }
    yield* driver.children(prefix, last);
  }

  /** The list as it is now, or one whose load has begun; not loaded when the folder has too many names. */
  async #list(prefix: string): Promise<NameList> {
    const { lifetime } = this.#memory;
    const entry = this.#lists.get(prefix);
    const age = entry ? performance.now() - entry.list.since : Infinity;
    if (!entry || age >= lifetime) return await this.#load(prefix);
    this.#lists.delete(prefix);
    this.#lists.set(prefix, entry);
    // In good time, so that nobody waits for the new one. If it fails, whoever comes when this one is too old learns why.
    if (age > lifetime / 2) this.#load(prefix).catch(() => undefined);
    return entry.list;
  }

  async #load(prefix: string): Promise<NameList> {
    const loading = this.#loading.get(prefix);
    if (loading) return await loading.done;
    const list = new NameList();
    const done = this.#fill(prefix, list);
    this.#loading.set(prefix, { list, done });
    try {
      return await done;
    } finally {
      if (this.#loading.get(prefix)?.list === list) this.#loading.delete(prefix);
    }
  }

  async #fill(prefix: string, list: NameList): Promise<NameList> {
    const { driver, most } = this.#memory;
    const names: string[] = [];
    for await (const name of driver.children(prefix)) {
      names.push(name);
      if (names.length > most) break;
    }
    list.load(names.length > most ? undefined : names);
    if (list.isVoid) return list;
    this.#drop(prefix);
    // That there is nothing is remembered of these few folders alone: whoever asks can name any others.
    if (names.length === 0 && !this.#memory.folders.includes(prefix)) return list;
    this.#lists.set(prefix, { list, weight: 0 });
    this.#weigh(prefix);
    return list;
  }

  /** Does `work` to every list that has a name for the object, or for a folder that it lies in. */
  #eachAbove(key: string, work: (list: NameList, name: string) => void): void {
    if (this.#lists.size === 0 && this.#loading.size === 0) return;
    for (const folder of this.#memory.folders) {
      if (!isBelow(key, folder)) continue;
      for (let prefix = folder; ;) {
        const start = prefix === "" ? 0 : prefix.length + 1;
        const slash = key.indexOf("/", start);
        const name = key.slice(start, slash < 0 ? undefined : slash);
        const kept = this.#lists.get(prefix);
        if (kept) {
          work(kept.list, name);
          this.#weigh(prefix);
        }
        const loading = this.#loading.get(prefix);
        if (loading) work(loading.list, name);
        if (slash < 0) break;
        prefix = key.slice(0, slash);
      }
    }
  }

  /** Counts the list as it is now, and forgets the least recently used ones when all are too much. */
  #weigh(prefix: string): void {
    const entry = this.#lists.get(prefix);
    if (!entry) return;
    const { weight, doubts } = entry.list;
    this.#weight += weight - entry.weight;
    entry.weight = weight;
    if (doubts > mostDoubts) this.#drop(prefix);
    for (const oldest of this.#lists.keys()) {
      if (this.#weight <= this.#memory.most) break;
      this.#drop(oldest);
    }
  }

  #drop(prefix: string): void {
    this.#weight -= this.#lists.get(prefix)?.weight ?? 0;
    this.#lists.delete(prefix);
  }

  #isExclusive(): boolean {
    return this.#memory.coherence.isExclusive;
  }
}

/** Whether there is an object with this key, or any below it. */
async function holdsObject(driver: StorageDriver, key: string): Promise<boolean> {
  for await (const child of driver.children(key)) return child !== "";
  try {
    await driver.stat(key);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
