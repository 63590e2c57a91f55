import { randomUUID } from "node:crypto";
import type { Cache, CacheAnswer, CacheChange } from "./cache.ts";

/** A cache that only this process sees, with no bound: for tests, and as the plainest example of the protocol. */
export function openMemoryCache(): Cache {
  return new MemoryCache();
}

class MemoryCache implements Cache {
  readonly name = "memory";
  readonly #values = new Map<string, Uint8Array>();
  /** Who may set the value next: a reader with a lease, or a change that is not done. */
  readonly #tokens = new Map<string, string>();

  async read(key: string): Promise<CacheAnswer> {
    await Promise.resolve();
    const value = this.#values.get(key);
    if (value !== undefined) return { value };
    if (this.#tokens.has(key)) return {};
    const token = this.#issue(key);
    return {
      fill: async (found) => {
        await Promise.resolve();
        if (this.#redeem(key, token)) this.#values.set(key, found);
      },
    };
  }

  async change(key: string): Promise<CacheChange> {
    await Promise.resolve();
    this.#values.delete(key);
    const token = this.#issue(key);
    return {
      done: async (value) => {
        await Promise.resolve();
        this.#values.delete(key);
        const alone = this.#redeem(key, token);
        this.#tokens.delete(key);
        if (alone && value !== undefined) this.#values.set(key, value);
      },
    };
  }

  async ping(): Promise<void> {
    await Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  #issue(key: string): string {
    const token = randomUUID();
    this.#tokens.set(key, token);
    return token;
  }

  /** Whether the token still stood; it doesn't any more. */
  #redeem(key: string, token: string): boolean {
    return this.#tokens.get(key) === token && this.#tokens.delete(key);
  }
}
