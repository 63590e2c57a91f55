import { checked } from "../../drivers/storage/checked.ts";
import { isNotFound } from "../../drivers/storage/errors.ts";
import { findStorage } from "../../drivers/storage/index.ts";
import { limited } from "../../drivers/storage/limited.ts";
import { openMemory } from "../../drivers/storage/memory.ts";
import { retried } from "../../drivers/storage/retried.ts";
import { keyHash, newKey } from "../accounts/api-key.ts";
import { KeyStore, type StoredKey } from "../accounts/key-store.ts";
import type { Settings } from "../config/schema.ts";

/** The API keys of a store, for a command. */
export interface OpenedKeys {
  /** Makes a key; answers it whole, for the only time, and what is kept of it. */
  give(
    limits: Omit<StoredKey, "id" | "hash" | "created">,
  ): Promise<{ readonly key: string; readonly stored: StoredKey }>;
  list(): AsyncIterable<StoredKey>;
  /** Answers whether there was such a key. */
  remove(id: string): Promise<boolean>;
  /** Removes all keys of an account; answers how many there were. */
  removeOf(name: string): Promise<number>;
  close(): Promise<void>;
}

/**
 * Opens the storage that `settings` name for what it has of API keys. Servers need not be told: they remember nothing of
 * these for longer than some seconds. Rejects with a `DriverError` when the storage can't be used.
 */
export async function openKeys(settings: Settings, access: "read" | "write"): Promise<OpenedKeys> {
  const driver = checked(limited(retried(await opened(settings, access)), { atOnce: 8 }));
  const keys = new KeyStore(driver, 1);
  return {
    give: async (limits) => {
      const { id, key } = newKey();
      const stored = { ...limits, id, hash: keyHash(key), created: new Date() };
      await keys.add(stored);
      return { key, stored };
    },
    list: () => keys.list(),
    remove: async (id) => await keys.remove(id),
    removeOf: async (name) => await keys.removeOf(name),
    close: async () => {
      await driver.close();
    },
  };
}

async function opened(settings: Settings, access: "read" | "write") {
  const definition = findStorage(settings.storage);
  if (!definition) throw new Error(`There is no storage ${settings.storage}`);
  if (access === "write" || !definition.openToRead) return await definition.open(settings);
  try {
    return await definition.openToRead(settings);
  } catch (error) {
    // A store that is still to be made has no keys.
    if (isNotFound(error)) return openMemory();
    throw error;
  }
}
