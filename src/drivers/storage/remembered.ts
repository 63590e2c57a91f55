import { Readable } from "node:stream";
import { resolveRange } from "./byte-range.ts";
import type { Coherence } from "./coherence.ts";
import type {
  Append,
  ByteRange,
  Entry,
  RedirectOptions,
  SmallObject,
  Stat,
  StorageDriver,
  WriteInSteps,
} from "./driver.ts";
import { isBelow } from "./key-order.ts";
import { RememberedNames } from "./remembered/names.ts";
import { RememberedObjects, type RememberedObject } from "./remembered/objects.ts";
import { invalidWatch, Watches, type Watch } from "./watches.ts";

/** What is remembered of an object: how large and old it is, and also its content if that is small. */
export type Remembering = "stat" | "content";

/** What is remembered, how much of it, and for how long. */
export interface Memory {
  /** What to remember of the object; undefined is nothing. By default `rememberedOf`. */
  readonly admits?: (key: string) => Remembering | undefined;
  /** The names of these folders and of all below are remembered. */
  readonly folders?: readonly string[];
  /** Of the content of one object, in bytes. */
  readonly largest?: number;
  /** All objects together, in bytes. */
  readonly objectBytes?: number;
  /** All lists together, in names. */
  readonly names?: number;
  /** Milliseconds until the store is asked anew, in case somebody changed it who shouldn't have. */
  readonly objectLifetime?: number;
  readonly namesLifetime?: number;
  /** Told whether an object that may be remembered was. */
  readonly onLookup?: (isHit: boolean) => void;
}

/** A driver that can also tell when what was made from its objects is out of date. */
export interface RememberingStorage extends StorageDriver {
  /**
   * Begin it before the objects are read. Is never valid where others may change the store, and for objects of which
   * nothing is remembered; ends by itself after some seconds.
   */
  watch(...keys: readonly string[]): Watch;
}

/**
 * Answers what it has seen before from memory as long as `coherence` says that no stranger changes the store;
 * otherwise passes everything through. Remembers only what exists. A change is forgotten everywhere before it resolves
 * or rejects, so nobody sees the old state who began to ask after that.
 */
export function remembered(driver: StorageDriver, coherence: Coherence, memory: Memory = {}): RememberingStorage {
  return new RememberedStorage(driver, coherence, memory);
}

/** Links, tags and the small documents of images and repositories; of content its size. Never what is on its way. */
export function rememberedOf(key: string): Remembering | undefined {
  if (key.startsWith("docker/registry/v2/blobs/")) return key.endsWith("/data") ? "stat" : undefined;
  if (isBelow(key, "docker/registry/v2/repositories")) return "content";
  return /^(images|repositories|_registryctl\/v[12])\//.test(key) && !key.endsWith("/layer") ? "content" : undefined;
}

const listedFolders: readonly string[] = ["docker/registry/v2/repositories", "repositories"];

class RememberedStorage implements RememberingStorage {
  readonly name: string;
  readonly features: StorageDriver["features"];
  readonly append?: Append;
  readonly writeInSteps?: WriteInSteps;
  readonly #driver: StorageDriver;
  readonly #coherence: Coherence;
  readonly #admits: (key: string) => Remembering | undefined;
  readonly #largest: number;
  readonly #watches: Watches;
  readonly #objects: RememberedObjects;
  readonly #names: RememberedNames;
  readonly #onLookup: (isHit: boolean) => void;

  constructor(driver: StorageDriver, coherence: Coherence, memory: Memory) {
    const { admits = rememberedOf, folders = listedFolders, largest = 4_096, objectBytes = 16 * 2 ** 20 } = memory;
    const { names = 100_000, objectLifetime = 5_000, namesLifetime = 60_000 } = memory;
    this.#onLookup = memory.onLookup ?? (() => undefined);
    this.name = driver.name;
    this.features = driver.features;
    this.#driver = driver;
    this.#coherence = coherence;
    this.#admits = admits;
    this.#largest = largest;
    this.#watches = new Watches({
      admits: (key) => admits(key) !== undefined,
      admitsBelow: (folder) => this.#names.covers(folder),
      lifetime: objectLifetime,
    });
    this.#objects = new RememberedObjects({ bytes: objectBytes, lifetime: objectLifetime });
    this.#names = new RememberedNames({ driver, coherence, folders, most: names, lifetime: namesLifetime });
    coherence.listen((keys) => {
      this.#forget(keys);
    });
    if (driver.append) this.append = driver.append.bind(driver);
    const writeInSteps = driver.writeInSteps?.bind(driver);
    if (writeInSteps)
      this.writeInSteps = async (steps) => await this.#writeInSteps(steps.flat(), () => writeInSteps(steps));
  }

  watch(...keys: readonly string[]): Watch {
    return this.#coherence.isExclusive ? this.#watches.watch(...keys) : invalidWatch;
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const remembering = this.#coherence.isExclusive && this.#admits(key) === "content";
    const bytes = remembering ? await this.#content(key) : undefined;
    if (bytes === undefined) return await this.#driver.read(key, range);
    const { start, end } = resolveRange(range, bytes.length);
    return streamOf(bytes.subarray(start, end));
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    const admitted = this.#admits(key);
    const small = admitted === "content" && size !== undefined && size <= this.#largest;
    const chunks: Uint8Array[] = [];
    const watch = admitted && this.watch(key);
    return await this.#changing(
      { written: [key] },
      () => this.#driver.write(key, small ? gathered(source, chunks) : source, size),
      // Of two writes at the same time each ends the watch of the other: which of them won is not known.
      (stat) => (watch?.isValid ? [{ key, stat, bytes: small ? Buffer.concat(chunks) : undefined }] : []),
    ).finally(() => watch?.close());
  }

  async #writeInSteps(objects: readonly SmallObject[], work: () => Promise<readonly Stat[]>): Promise<readonly Stat[]> {
    const watches = objects.map(({ key }) => (this.#admits(key) ? this.watch(key) : undefined));
    return await this.#changing({ written: objects.map(({ key }) => key) }, work, (stats) =>
      objects.flatMap(({ key, bytes }, index) => {
        const stat = stats[index];
        if (!stat || watches[index]?.isValid !== true) return [];
        const small = this.#admits(key) === "content" && bytes.length <= this.#largest;
        return [{ key, stat, bytes: small ? Buffer.from(bytes) : undefined }];
      }),
    ).finally(() => {
      for (const watch of watches) watch?.close();
    });
  }

  async stat(key: string): Promise<Stat> {
    if (!this.#coherence.isExclusive || this.#admits(key) === undefined) return await this.#driver.stat(key);
    const known = this.#objects.stat(key);
    this.#onLookup(known !== undefined);
    if (known) return known;
    const { stat } = await this.#observed(key, async () => ({ stat: await this.#driver.stat(key), bytes: undefined }));
    return stat;
  }

  list(prefix: string, after?: string): AsyncIterable<Entry> {
    return this.#driver.list(prefix, after);
  }

  children(prefix: string, after?: string): AsyncIterable<string> {
    return this.#names.children(prefix, after);
  }

  async move(from: string, to: string): Promise<void> {
    await this.#changing({ written: [to], removed: from }, () => this.#driver.move(from, to));
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#changing({ written: [to] }, () => this.#driver.copy(from, to));
  }

  async link(from: string, to: string): Promise<void> {
    await this.#changing({ written: [to] }, () => this.#driver.link(from, to));
  }

  async delete(key: string): Promise<void> {
    await this.#changing({ removed: key }, () => this.#driver.delete(key));
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    return await this.#driver.redirectUrl(key, options);
  }

  localPath(key: string): string | undefined {
    return this.#driver.localPath(key);
  }

  async ping(): Promise<void> {
    await this.#driver.ping();
  }

  async close(): Promise<void> {
    this.#forget();
    await this.#driver.close();
  }

  /** The whole content of a small object, or undefined when it is none. */
  async #content(key: string): Promise<Buffer | undefined> {
    const known = this.#objects.content(key);
    this.#onLookup(known !== undefined);
    if (known) return known;
    const { bytes } = await this.#observed(key, async () => {
      const stat = this.#objects.stat(key) ?? (await this.#driver.stat(key));
      if (stat.size > this.#largest) return { stat, bytes: undefined };
      return { stat, bytes: await contentOf(await this.#driver.read(key), stat.size) };
    });
    return bytes;
  }

  /** What `ask` sees of the object; remembered if that did not change meanwhile. */
  async #observed(key: string, ask: () => Promise<RememberedObject>): Promise<RememberedObject> {
    const watch = this.#watches.watch(key);
    try {
      const object = await ask();
      if (watch.isValid && this.#coherence.isExclusive) this.#objects.keep(key, object);
      return object;
    } finally {
      watch.close();
    }
  }

  /** Makes a change, after which nobody remembers the old state; `outcome` is what is known of the new one. */
  async #changing<T>(
    { written = [], removed }: { readonly written?: readonly string[]; readonly removed?: string },
    work: () => Promise<T>,
    outcome: (result: T) => readonly (RememberedObject & { readonly key: string })[] = () => [],
  ): Promise<T> {
    const keys = [...written, removed].filter((key) => key !== undefined).filter((key) => this.#concerns(key));
    if (keys.length === 0) return await work();
    let known: ReturnType<typeof outcome> = [];
    try {
      const result = await work();
      known = outcome(result);
      return result;
    } finally {
      // Also after a failure: whether the store has changed is not known then.
      this.#objects.forget(keys);
      this.#watches.invalidate(keys);
      for (const key of written) this.#names.written(key);
      if (removed !== undefined) this.#names.changed(removed);
      if (this.#coherence.isExclusive) for (const object of known) this.#objects.keep(object.key, object);
      await this.#coherence.announce(keys);
    }
  }

  /** Whether something may be remembered that a change of the object makes untrue. */
  #concerns(key: string): boolean {
    return this.#admits(key) !== undefined || this.#names.concerns(key);
  }

  #forget(keys?: readonly string[]): void {
    this.#objects.forget(keys);
    this.#watches.invalidate(keys);
    if (keys) for (const key of keys) this.#names.changed(key);
    else this.#names.forget();
  }
}

/** What passes, and a copy of it in `chunks`. */
async function* gathered(source: AsyncIterable<Uint8Array>, chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    chunks.push(Buffer.from(chunk));
    yield chunk;
  }
}

/** The content, or undefined when it hasn't the expected size. */
async function contentOf(stream: AsyncIterable<Uint8Array>, size: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let seen = 0;
  for await (const chunk of stream) {
    seen += chunk.length;
    if (seen > size) return undefined;
    chunks.push(chunk);
  }
  return seen === size ? Buffer.concat(chunks) : undefined;
}

function streamOf(bytes: Uint8Array): Readable {
  const stream = new Readable({ read: () => undefined });
  if (bytes.length > 0) stream.push(bytes);
  stream.push(null);
  return stream;
}
