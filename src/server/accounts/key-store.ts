import { LRUCache } from "lru-cache";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { Documents, isObject } from "../registry/documents.ts";
import { apiKeyKey, apiKeysPrefix } from "../registry/paths.ts";
import type { KeyAction } from "./accounts.ts";

/** All that is known of an API key; not the key. */
export interface StoredKey {
  readonly id: string;
  /** Whose it is. */
  readonly name: string;
  /** As by `keyHash`. */
  readonly hash: string;
  readonly repositories: readonly string[];
  readonly actions: readonly KeyAction[];
  readonly created: Date;
  /** From when on it is worth nothing; undefined: it stays. */
  readonly expires: Date | undefined;
  readonly description: string | undefined;
}

/** The actions that keys may be for. */
export const keyActions = ["pull", "push", "delete"] as const satisfies readonly KeyAction[];

/** What was read of a key counts for so many milliseconds; who is known by it, for one second more. */
const usualAge = 2000;

/**
 * The API keys, kept beside the images: all servers of a bucket see them. Each is an object of its own, so that those who
 * change keys at the same time don't meet. Rejects with `DriverError`s.
 */
export class KeyStore {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #recent: LRUCache<string, StoredKey>;

  constructor(driver: StorageDriver, age = usualAge) {
    this.#driver = driver;
    this.#documents = new Documents(driver);
    this.#recent = new LRUCache({ max: 10_000, ttl: age });
  }

  /** The key of that id, as it is, or was a moment ago. */
  async find(id: string): Promise<StoredKey | undefined> {
    const recent = this.#recent.get(id);
    if (recent) return recent;
    const key = parseKey(id, await this.#documents.readJson(apiKeyKey(id)));
    if (key) this.#recent.set(id, key);
    return key;
  }

  async add({ id, ...record }: StoredKey): Promise<void> {
    await this.#documents.write(apiKeyKey(id), JSON.stringify(record));
  }

  /** Answers whether there was such a key. */
  async remove(id: string): Promise<boolean> {
    this.#recent.delete(id);
    return await this.#documents.delete(apiKeyKey(id));
  }

  /** Removes all keys of an account; answers how many there were. */
  async removeOf(name: string): Promise<number> {
    let count = 0;
    for await (const key of this.list()) if (key.name === name && (await this.remove(key.id))) count++;
    return count;
  }

  /** All keys, those that have expired too. */
  async *list(): AsyncGenerator<StoredKey> {
    for await (const id of this.#driver.children(apiKeysPrefix)) {
      const key = parseKey(id, await this.#documents.readJson(apiKeyKey(id)));
      if (key) yield key;
    }
  }
}

/** Undefined where it is nothing that this version understands: then it lets nobody in. */
function parseKey(id: string, value: unknown): StoredKey | undefined {
  if (!isObject(value)) return undefined;
  const { name, hash, description } = value;
  const created = parseDate(value["created"]);
  const repositories = parseTexts(value["repositories"]);
  const named = parseTexts(value["actions"]);
  const expires = parseDate(value["expires"]);
  if (typeof name !== "string" || typeof hash !== "string" || !created || !repositories || !named) return undefined;
  if (value["expires"] !== undefined && !expires) return undefined;
  const actions = keyActions.filter((action) => named.includes(action));
  const told = typeof description === "string" ? description : undefined;
  return { id, name, hash, repositories, actions, created, expires, description: told };
}

function parseTexts(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) && value.every((text) => typeof text === "string") ? value : undefined;
}

function parseDate(value: unknown): Date | undefined {
  const date = typeof value === "string" ? new Date(value) : undefined;
  return date && !Number.isNaN(date.getTime()) ? date : undefined;
}
