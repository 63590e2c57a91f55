import type { StorageDefinition } from "./define.ts";
import { elliptics } from "./elliptics.ts";
import { gcs } from "./gcs.ts";
import { glance } from "./glance.ts";
import { local } from "./local.ts";
import { memory } from "./memory.ts";
import { s3 } from "./s3.ts";
import { swift } from "./swift.ts";

/** Every driver that `storage` can name. A new one is one line here. */
export const storageDefinitions: readonly StorageDefinition[] = [local, memory, s3, gcs, swift, glance, elliptics];

/** Drivers by others, by the name that the configuration has for them. */
const foreign = new Map<string, StorageDefinition>();

/** From now on `storage: name` means this driver of somebody else's, where none of ours has the name. */
export function addStorage(name: string, definition: StorageDefinition): void {
  foreign.set(name, definition);
}

/** Every driver by others that has been added. */
export function addedStorages(): ReadonlyMap<string, StorageDefinition> {
  return foreign;
}

/** The driver that `storage: name` means, or undefined. One by others must have been added. */
export function findStorage(name: string): StorageDefinition | undefined {
  const own = storageDefinitions.find((definition) => definition.name === name || definition.aliases.includes(name));
  return own ?? foreign.get(name);
}
