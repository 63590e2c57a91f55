/** Tells whether objects are still what they were when the watch began. */
export interface Watch {
  /** False for ever once one of the objects was changed, or may have been. */
  readonly isValid: boolean;
  /** Watches another object too, from now on. */
  add(key: string): void;
  /** Ends the watch; it counts as invalid then. */
  close(): void;
}

/** What can be watched, and for how long. */
export interface Watching {
  /** Whether changes of the object are told at all; a watch of one that isn't admitted is invalid. By default all are. */
  readonly admits?: (key: string) => boolean;
  /** Milliseconds after which a watch is invalid, so that changes that nobody tells are noticed. By default it lasts. */
  readonly lifetime?: number;
}

/** The watches of a process: who keeps something that was made from objects learns by them when it is out of date. */
export class Watches {
  readonly #byKey = new Map<string, Set<KeyWatch>>();
  readonly #all = new Set<KeyWatch>();
  readonly #admits: (key: string) => boolean;
  readonly #lifetime: number;

  constructor({ admits = () => true, lifetime = Infinity }: Watching = {}) {
    this.#admits = admits;
    this.#lifetime = lifetime;
  }

  /** Begin it before the objects are read: a change meanwhile is then seen too. */
  watch(...keys: readonly string[]): Watch {
    const watch = new KeyWatch(this.#byKey, this.#all, this.#admits, performance.now() + this.#lifetime);
    for (const key of keys) watch.add(key);
    return watch;
  }

  /** Ends the watches of these objects; without keys all. */
  invalidate(keys?: readonly string[]): void {
    if (!keys) for (const watch of this.#all) watch.close();
    else for (const key of keys) for (const watch of this.#byKey.get(key) ?? []) watch.close();
  }
}

/** A watch that was never valid: for stores that anybody may change. */
export const invalidWatch: Watch = { isValid: false, add: () => undefined, close: () => undefined };

class KeyWatch implements Watch {
  readonly #byKey: Map<string, Set<KeyWatch>>;
  readonly #all: Set<KeyWatch>;
  readonly #admits: (key: string) => boolean;
  readonly #end: number;
  readonly #keys: string[] = [];
  #isOpen = true;

  constructor(
    byKey: Map<string, Set<KeyWatch>>,
    all: Set<KeyWatch>,
    admits: (key: string) => boolean,
    /** By `performance.now()`. */
    end: number,
  ) {
    this.#byKey = byKey;
    this.#all = all;
    this.#admits = admits;
    this.#end = end;
    all.add(this);
  }

  get isValid(): boolean {
    if (this.#isOpen && performance.now() > this.#end) this.close();
    return this.#isOpen;
  }

  add(key: string): void {
    if (!this.#isOpen) return;
    if (!this.#admits(key)) {
      this.close();
      return;
    }
    this.#keys.push(key);
    const others = this.#byKey.get(key);
    if (others) others.add(this);
    else this.#byKey.set(key, new Set([this]));
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#all.delete(this);
    for (const key of this.#keys) {
      const others = this.#byKey.get(key);
      others?.delete(this);
      if (others?.size === 0) this.#byKey.delete(key);
    }
  }
}
