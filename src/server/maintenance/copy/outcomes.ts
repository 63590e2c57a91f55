import { LRUCache } from "lru-cache";
import type { ProblemKind } from "../../registry/bridge/problems.ts";
import { NotCopied } from "./not-copied.ts";

/** What a push that goes on meanwhile may mend. */
const passing: readonly ProblemKind[] = [
  "blob-missing",
  "image-missing",
  "layer-missing",
  "manifest-missing",
  "push-abandoned",
];

/** How work for single things went: each is done once, but again when it failed for what may have come since then. */
export class Outcomes<Key extends string, T> {
  readonly #outcomes: LRUCache<Key, Promise<T>>;

  /** Of more than `most` things, those that were asked for last are remembered. */
  constructor(most: number) {
    this.#outcomes = new LRUCache({ max: most });
  }

  async of(key: Key, work: () => Promise<T>): Promise<T> {
    const outcome = this.#outcomes.get(key) ?? work();
    this.#outcomes.set(key, outcome);
    try {
      return await outcome;
    } catch (error) {
      const isPassing = error instanceof NotCopied && passing.includes(error.kind);
      if (isPassing && this.#outcomes.get(key) === outcome) this.#outcomes.delete(key);
      throw error;
    }
  }
}
