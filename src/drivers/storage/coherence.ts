/**
 * How the processes that serve one store keep what they remember of it true. What is read from a store may be remembered
 * only while nobody else changes it, and a change counts as done when no process remembers the old state.
 */
export interface Coherence {
  /** Whether nobody but these processes changes the store. While it is false nothing may be remembered. */
  readonly isExclusive: boolean;
  /**
   * Resolves when no other process remembers anything of `keys`. To be called once a change is made, and awaited before
   * anybody is told of it, whether or not `isExclusive`: another process may have learned earlier that it is. Never
   * rejects: a process that does not answer is one that ends.
   */
  announce(keys: readonly string[]): Promise<void>;
  /**
   * `forget` is called in this process for keys that another one has changed; without keys everything is to be
   * forgotten, also because `isExclusive` has just become false.
   */
  listen(forget: (keys?: readonly string[]) => void): void;
}

/** One process that has the store for itself. */
export const alone: Coherence = {
  isExclusive: true,
  announce: async () => {
    await Promise.resolve();
  },
  listen: () => undefined,
};

/** Others may change the store at any time and tell nobody. */
export const amongStrangers: Coherence = { ...alone, isExclusive: false };
