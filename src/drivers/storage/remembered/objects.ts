import { LRUCache } from "lru-cache";
import type { Stat } from "../driver.ts";

/** What is remembered of one object; time and content belong together. */
export interface RememberedObject {
  readonly stat: Stat;
  readonly bytes: Buffer | undefined;
}

/** Bytes that an entry takes beside its key and content, roughly. */
const overhead = 300;

/** An object as it is kept: small buffers of their own, or parts of shared ones, take many times their content. */
interface Entry {
  readonly stat: Stat;
  readonly bytes: string | undefined;
  readonly until: number;
}

/** What was last seen of objects: the most recently used of them, within so many bytes, for so many milliseconds. */
export class RememberedObjects {
  readonly #entries: LRUCache<string, Entry>;
  readonly #lifetime: number;

  constructor({ bytes, lifetime }: { readonly bytes: number; readonly lifetime: number }) {
    this.#lifetime = lifetime;
    this.#entries = new LRUCache({
      maxSize: bytes,
      sizeCalculation: (object, key) => overhead + key.length + (object.bytes?.length ?? 0),
    });
  }

  stat(key: string): Stat | undefined {
    return this.#find(key)?.stat;
  }

  content(key: string): Buffer | undefined {
    const bytes = this.#find(key)?.bytes;
    return bytes === undefined ? undefined : Buffer.from(bytes, "latin1");
  }

  keep(key: string, { stat, bytes }: RememberedObject): void {
    const now = performance.now();
    this.#entries.set(key, { stat, bytes: bytes?.toString("latin1"), until: now + this.#lifetime });
    // What nobody has used for as long as it is true only takes room.
    for (const oldest of this.#entries.rkeys()) {
      if (now < (this.#entries.peek(oldest)?.until ?? 0)) break;
      this.#entries.delete(oldest);
    }
  }

  /** Without keys all. */
  forget(keys?: readonly string[]): void {
    if (!keys) this.#entries.clear();
    else for (const key of keys) this.#entries.delete(key);
  }

  #find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry && performance.now() < entry.until ? entry : undefined;
  }
}
