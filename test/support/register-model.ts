/** What one key may hold: sizes of contents, `absent` where there is none. */
export const absent = -1;

/** What an observer may have seen of a key from the beginning of its observation on. */
export interface Observation {
  readonly key: string;
  readonly possible: ReadonlySet<number>;
  end(): void;
}

/**
 * The plainest store to compare a store with while changes run. One change of a key at a time; while it runs, and after
 * it failed, both its old and its new state may be seen.
 */
export class RegisterModel {
  readonly #registers = new Map<string, { states: Set<number>; readonly observers: Set<Set<number>> }>();
  readonly #locked = new Set<string>();

  /** Makes a change that sets keys, unless one of them is being changed; `work` fails when the outcome is unknown. */
  async change(keys: readonly string[], next: readonly number[], work: () => Promise<void>): Promise<void> {
    if (keys.some((key) => this.#locked.has(key))) return;
    for (const key of keys) this.#locked.add(key);
    keys.forEach((key, index) => {
      const { states, observers } = this.#register(key);
      for (const seen of [states, ...observers]) seen.add(next[index] ?? absent);
    });
    try {
      await work();
      keys.forEach((key, index) => {
        this.#register(key).states = new Set([next[index] ?? absent]);
      });
    } catch {
      // Both states stay possible.
    } finally {
      for (const key of keys) this.#locked.delete(key);
    }
  }

  /** What the key may hold now. */
  states(key: string): ReadonlySet<number> {
    return this.#register(key).states;
  }

  observe(key: string): Observation {
    const { states, observers } = this.#register(key);
    const possible = new Set(states);
    observers.add(possible);
    return {
      key,
      possible,
      end: () => {
        observers.delete(possible);
      },
    };
  }

  #register(key: string): { states: Set<number>; readonly observers: Set<Set<number>> } {
    const register = this.#registers.get(key) ?? { states: new Set([absent]), observers: new Set() };
    this.#registers.set(key, register);
    return register;
  }
}
