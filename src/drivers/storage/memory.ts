import { Readable } from "node:stream";
import { z } from "zod";
import { resolveRange } from "./byte-range.ts";
import { undisputed } from "./claim.ts";
import { defineStorage } from "./define.ts";
import type { ByteRange, Entry, Stat, StorageDriver, WriteInSteps } from "./driver.ts";
import { DriverError } from "./errors.ts";
import { exactly } from "./exact-size.ts";
import { compareKeys, isBelow } from "./key-order.ts";
import { sourceOf } from "./source-of.ts";

/**
 * A store that forgets everything when the process ends: for trying things out, and as the plainest example of a
 * driver.
 */
export const memory = defineStorage({
  name: "memory",
  aliases: [],
  summary: "The memory of the server: everything is gone when it ends.",
  features: { redirect: false, localFiles: false },
  options: z.object({}),
  claim: async () => await Promise.resolve(undisputed),
  open: async () => await Promise.resolve(openMemory()),
});

/** Opens an empty one. */
export function openMemory(): StorageDriver {
  return new MemoryStorage();
}

interface StoredObject {
  readonly bytes: Buffer;
  readonly modified: Date;
}

class MemoryStorage implements StorageDriver {
  readonly name = "memory";
  readonly features = { redirect: false, localFiles: false };
  readonly #objects = new Map<string, StoredObject>();
  /** The keys in order, until one comes or goes; never changed in place, so a listing can go on with the one it has. */
  #sorted: readonly string[] | undefined;

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const { bytes } = await this.#find(key);
    const { start, end } = resolveRange(range, bytes.length);
    return Readable.from(slices(bytes.subarray(start, end)), { objectMode: false });
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of exactly(source, size)) chunks.push(Buffer.from(chunk));
    const stored = { bytes: Buffer.concat(chunks), modified: new Date() };
    this.#set(key, stored);
    return { size: stored.bytes.length, modified: stored.modified };
  }

  readonly writeInSteps: WriteInSteps = async (steps) => {
    const stats: Stat[] = [];
    for (const { key, bytes } of steps.flat()) stats.push(await this.write(key, sourceOf(bytes)));
    return stats;
  };

  async stat(key: string): Promise<Stat> {
    const { bytes, modified } = await this.#find(key);
    return { size: bytes.length, modified };
  }

  async *list(prefix: string, after = ""): AsyncGenerator<Entry> {
    for (const key of await this.#keysBelow(prefix)) {
      const found = this.#objects.get(key);
      if (found === undefined || compareKeys(key, after) <= 0) continue;
      yield { key, size: found.bytes.length, modified: found.modified };
    }
  }

  async *children(prefix: string, after = ""): AsyncGenerator<string> {
    const start = prefix === "" ? 0 : prefix.length + 1;
    const names = (await this.#keysBelow(prefix)).map((key) => key.slice(start).split("/", 1)[0] ?? "");
    for (const name of [...new Set(names)].sort(compareKeys)) if (compareKeys(name, after) > 0) yield name;
  }

  async move(from: string, to: string): Promise<void> {
    const found = await this.#find(from);
    if (from === to) return;
    this.#set(to, found);
    await this.delete(from);
  }

  async copy(from: string, to: string): Promise<void> {
    const { bytes } = await this.#find(from);
    this.#set(to, { bytes, modified: new Date() });
  }

  /** A copy shares the bytes too: nothing changes them in place. */
  async link(from: string, to: string): Promise<void> {
    await this.copy(from, to);
  }

  async delete(key: string): Promise<void> {
    await Promise.resolve();
    if (this.#objects.delete(key)) this.#sorted = undefined;
  }

  async redirectUrl(): Promise<undefined> {
    await Promise.resolve();
    return undefined;
  }

  localPath(): undefined {
    return undefined;
  }

  async ping(): Promise<void> {
    await Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  async #find(key: string): Promise<StoredObject> {
    await Promise.resolve();
    const found = this.#objects.get(key);
    if (found === undefined) throw new DriverError("NOT_FOUND", `${key} does not exist`);
    return found;
  }

  #set(key: string, stored: StoredObject): void {
    if (!this.#objects.has(key)) this.#sorted = undefined;
    this.#objects.set(key, stored);
  }

  async #keysBelow(prefix: string): Promise<readonly string[]> {
    await Promise.resolve();
    this.#sorted ??= [...this.#objects.keys()].sort(compareKeys);
    return this.#sorted.filter((key) => isBelow(key, prefix));
  }
}

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += 65_536) yield bytes.subarray(start, start + 65_536);
}
