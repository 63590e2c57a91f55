import type { StorageDefinition } from "./define.ts";
import { local } from "./local.ts";
import { memory } from "./memory.ts";

/** Every driver that `storage` can name. A new one is one line here. */
export const storageDefinitions: readonly StorageDefinition[] = [local, memory];

/** The driver that `storage: name` means, or undefined. */
export function findStorage(name: string): StorageDefinition | undefined {
  return storageDefinitions.find((definition) => definition.name === name || definition.aliases.includes(name));
}
