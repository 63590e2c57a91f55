/** Lets works on the same keys follow each other, in the order in which they were asked for. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Does `work` when all that was asked for before on one of `keys` is done. */
  async take<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = keys.map((key) => this.#last.get(key)).filter((last) => last !== undefined);
    const result = before.length === 0 ? work() : Promise.all(before).then(work);
    const settled = result.catch(() => undefined);
    for (const key of keys) this.#last.set(key, settled);
    try {
      return await result;
    } finally {
      for (const key of keys) if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}
