/** Who changes the same thing does it one after another: all that change a store should have the same turns. */
export interface Turns {
  /** Runs `task` when no other of the same key runs, in the order they came. A task must not wait for its own key. */
  run<T>(key: string, task: () => Promise<T>): Promise<T>;
}

/** Runs tasks of the same key one after another, in the order they came; tasks of different keys at the same time. */
export class KeyedLock implements Turns {
  readonly #tails = new Map<string, Promise<unknown>>();

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const result = before.then(task);
    const tail = result.catch(() => undefined);
    this.#tails.set(key, tail);
    try {
      return await result;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
