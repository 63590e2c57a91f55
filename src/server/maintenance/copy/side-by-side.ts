import type { Entry, StorageDriver } from "../../../drivers/storage/driver.ts";
import { compareKeys } from "../../../drivers/storage/key-order.ts";

/** An object of the source; `isThere` in the target with as many bytes. */
export interface Compared extends Entry {
  readonly isThere: boolean;
}

/** The objects below `prefix` of one store, in byte order, compared with another's by two listings side by side. */
export async function* sideBySide(from: StorageDriver, to: StorageDriver, prefix: string): AsyncGenerator<Compared> {
  const others = to.list(prefix)[Symbol.asyncIterator]();
  try {
    let other = await others.next();
    for await (const entry of from.list(prefix)) {
      while (!other.done && compareKeys(other.value.key, entry.key) < 0) other = await others.next();
      const isThere = !other.done && other.value.key === entry.key && other.value.size === entry.size;
      yield { ...entry, isThere };
    }
  } finally {
    await others.return?.();
  }
}
