/** Tells whether objects are still what they were when the watch began. */
export interface Watch {
  /** False for ever once one of the objects was changed, or may have been. */
  readonly isValid: boolean;
  /** Watches another object too, from now on. */
  add(key: string): void;
  /** Watches also whatever is below a folder, and comes there, from now on. */
  addBelow(folder: string): void;
  /** Ends the watch; it counts as invalid then. */
  close(): void;
}

/** What can be watched, and for how long. */
export interface Watching {
  /** Whether changes of the object are told at all; a watch of one that isn't admitted is invalid. By default all are. */
  readonly admits?: (key: string) => boolean;
  /** The same for all that is below a folder. By default all are. */
  readonly admitsBelow?: (folder: string) => boolean;
  /** Milliseconds after which a watch is invalid, so that changes that nobody tells are noticed. By default it lasts. */
  readonly lifetime?: number;
}

/** The watches of a process: who keeps something that was made from objects learns by them when it is out of date. */
export class Watches {
  readonly #watched: Watched = { keys: new Index(), folders: new Index(), all: new Set() };
  readonly #watching: Required<Watching>;

  constructor({ admits = () => true, admitsBelow = () => true, lifetime = Infinity }: Watching = {}) {
    this.#watching = { admits, admitsBelow, lifetime };
  }

  /** Begin it before the objects are read: a change meanwhile is then seen too. */
  watch(...keys: readonly string[]): Watch {
    const watch = new KeyWatch(this.#watched, this.#watching);
    for (const key of keys) watch.add(key);
    return watch;
  }

  /** Ends the watches of these objects; without keys all. */
  invalidate(keys?: readonly string[]): void {
    const { all, keys: byKey, folders } = this.#watched;
    if (!keys) for (const watch of all) watch.close();
    for (const key of keys ?? []) {
      byKey.close(key);
      if (folders.isEmpty) continue;
      for (let end = key.lastIndexOf("/"); end > 0; end = key.lastIndexOf("/", end - 1))
        folders.close(key.slice(0, end));
    }
  }
}

/** A watch that was never valid: for stores that anybody may change. */
export const invalidWatch: Watch = {
  isValid: false,
  add: () => undefined,
  addBelow: () => undefined,
  close: () => undefined,
};

interface Watched {
  readonly keys: Index;
  readonly folders: Index;
  readonly all: Set<KeyWatch>;
}

/** Who watches what. */
class Index {
  readonly #watches = new Map<string, Set<KeyWatch>>();

  get isEmpty(): boolean {
    return this.#watches.size === 0;
  }

  add(name: string, watch: KeyWatch): void {
    const others = this.#watches.get(name);
    if (others) others.add(watch);
    else this.#watches.set(name, new Set([watch]));
  }

  remove(name: string, watch: KeyWatch): void {
    const others = this.#watches.get(name);
    others?.delete(watch);
    if (others?.size === 0) this.#watches.delete(name);
  }

  close(name: string): void {
    for (const watch of this.#watches.get(name) ?? []) watch.close();
  }
}

class KeyWatch implements Watch {
  readonly #watched: Watched;
  readonly #watching: Required<Watching>;
  /** By `performance.now()`. */
  readonly #end: number;
  readonly #keys: string[] = [];
  readonly #folders: string[] = [];
  #isOpen = true;

  constructor(watched: Watched, watching: Required<Watching>) {
    this.#watched = watched;
    this.#watching = watching;
    this.#end = performance.now() + watching.lifetime;
    watched.all.add(this);
  }

  get isValid(): boolean {
    if (this.#isOpen && performance.now() > this.#end) this.close();
    return this.#isOpen;
  }

  add(key: string): void {
    if (!this.#goesOn(this.#watching.admits(key))) return;
    this.#keys.push(key);
    this.#watched.keys.add(key, this);
  }

  addBelow(folder: string): void {
    if (!this.#goesOn(this.#watching.admitsBelow(folder))) return;
    this.#folders.push(folder);
    this.#watched.folders.add(folder, this);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watched.all.delete(this);
    for (const key of this.#keys) this.#watched.keys.remove(key, this);
    for (const folder of this.#folders) this.#watched.folders.remove(folder, this);
  }

  /** Ends the watch where something is to be watched that can't be. */
  #goesOn(isAdmitted: boolean): boolean {
    if (!isAdmitted) this.close();
    return this.#isOpen;
  }
}
