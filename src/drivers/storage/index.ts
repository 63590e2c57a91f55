import type { StorageDefinition } from "./define.ts";
import { local } from "./local.ts";
import { memory } from "./memory.ts";
import { s3 } from "./s3.ts";

/** Every driver that `storage` can name. A new one is one line here. */
export const storageDefinitions: readonly StorageDefinition[] = [local, memory, s3];

/** The driver that `storage: name` means, or undefined. */
export function findStorage(name: string): StorageDefinition | undefined {
  return storageDefinitions.find((definition) => definition.name === name || definition.aliases.includes(name));
}
