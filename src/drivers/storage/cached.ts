import { Readable } from "node:stream";
import type { Cache } from "../cache/cache.ts";
import { resolveRange } from "./byte-range.ts";
import type { Append, ByteRange, Entry, RedirectOptions, Stat, StorageDriver, WriteInSteps } from "./driver.ts";

/** Which objects are kept in the cache. */
export interface Caching {
  /** By default the small documents of images, never a layer or a tag. */
  readonly admits?: (key: string) => boolean;
  /** In bytes. */
  readonly largest?: number;
  /** Told whether an object that may be in the cache was. */
  readonly onLookup?: (isHit: boolean) => void;
}

/**
 * Keeps copies of small objects in a cache that may be shared: reads and stats are answered from there, and every
 * change goes to the store and to the cache. That nobody sees an old object after a change was acknowledged is the
 * protocol of `Cache`. Changes made past this wrapper are seen when the cache forgets by itself. Listings always ask
 * the store.
 */
export function cached(driver: StorageDriver, cache: Cache, caching: Caching = {}): StorageDriver {
  return new CachedStorage(driver, cache, caching);
}

/**
 * What is known of images of V1. Not what a repository says, nor whether a push is going on: a server that can't reach the
 * cache for a moment can't tell the others when that changes, and a tag is never to be stale.
 */
function isSmallDocument(key: string): boolean {
  return /^(images|_registryctl\/v1)\/(?!.*\/(layer|_inprogress)$)/.test(key);
}

/** The time of the object stands before its content, as a double. */
const headBytes = 8;

interface Copy {
  readonly modified: Date;
  readonly bytes: Buffer;
}

class CachedStorage implements StorageDriver {
  readonly name: string;
  readonly features: StorageDriver["features"];
  readonly append?: Append;
  readonly writeInSteps?: WriteInSteps;
  readonly #driver: StorageDriver;
  readonly #cache: Cache;
  readonly #admits: (key: string) => boolean;
  readonly #largest: number;
  readonly #onLookup: (isHit: boolean) => void;

  constructor(driver: StorageDriver, cache: Cache, caching: Caching) {
    const { admits = isSmallDocument, largest = 65_536, onLookup = () => undefined } = caching;
    this.#onLookup = onLookup;
    this.name = driver.name;
    this.features = driver.features;
    this.#driver = driver;
    this.#cache = cache;
    this.#admits = admits;
    this.#largest = largest;
    if (driver.append) this.append = driver.append.bind(driver);
    const writeInSteps = driver.writeInSteps?.bind(driver);
    if (writeInSteps) {
      this.writeInSteps = async (steps) =>
        await this.#changing(
          steps.flat().map(({ key }) => key),
          () => writeInSteps(steps),
        );
    }
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const copy = this.#admits(key) ? await this.#find(key) : undefined;
    if (copy === undefined) return await this.#driver.read(key, range);
    const { start, end } = resolveRange(range, copy.bytes.length);
    return Readable.from(start < end ? [copy.bytes.subarray(start, end)] : [], { objectMode: false });
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    if (!this.#admits(key)) return await this.#driver.write(key, source, size);
    const gathered = new Gathered(this.#largest);
    return await this.#changing(
      [key],
      () => this.#driver.write(key, gathered.through(source), size),
      ({ modified }) => gathered.bytes && encode({ modified, bytes: gathered.bytes }),
    );
  }

  async stat(key: string): Promise<Stat> {
    const copy = this.#admits(key) ? await this.#find(key) : undefined;
    return copy ? { size: copy.bytes.length, modified: copy.modified } : await this.#driver.stat(key);
  }

  list(prefix: string, after?: string): AsyncIterable<Entry> {
    return this.#driver.list(prefix, after);
  }

  children(prefix: string, after?: string): AsyncIterable<string> {
    return this.#driver.children(prefix, after);
  }

  async move(from: string, to: string): Promise<void> {
    await this.#changing([from, to], () => this.#driver.move(from, to));
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#changing([to], () => this.#driver.copy(from, to));
  }

  async link(from: string, to: string): Promise<void> {
    await this.#changing([to], () => this.#driver.link(from, to));
  }

  async delete(key: string): Promise<void> {
    await this.#changing([key], () => this.#driver.delete(key));
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    return await this.#driver.redirectUrl(key, options);
  }

  localPath(key: string): string | undefined {
    return this.#driver.localPath(key);
  }

  /** Of the store alone: without the cache everything works. */
  async ping(): Promise<void> {
    await this.#driver.ping();
  }

  /** Closes the store; the cache belongs to whoever opened it. */
  async close(): Promise<void> {
    await this.#driver.close();
  }

  /** The copy of a small object, from the cache or now put there; undefined when there can be none. */
  async #find(key: string): Promise<Copy | undefined> {
    const { value, fill } = await this.#cache.read(key);
    this.#onLookup(value !== undefined);
    if (value !== undefined) return decode(value);
    if (fill === undefined) return undefined;
    const { size, modified } = await this.#driver.stat(key);
    if (size > this.#largest) return undefined;
    const bytes = await contentOf(await this.#driver.read(key), size);
    if (bytes === undefined) return undefined;
    // Time and content belong to the same object: had it changed between the two, the lease would be void.
    const copy = { modified, bytes };
    await fill(encode(copy));
    return copy;
  }

  /**
   * Makes a change that the cache knows of before and after; afterwards it has what `copyOf` makes of the result, if
   * that is known.
   */
  async #changing<T>(
    keys: readonly string[],
    work: () => Promise<T>,
    copyOf: (result: T) => Uint8Array | undefined = () => undefined,
  ): Promise<T> {
    const admitted = keys.filter((key) => this.#admits(key));
    const changes = await Promise.all(admitted.map(async (key) => await this.#cache.change(key)));
    let value: Uint8Array | undefined;
    try {
      const result = await work();
      value = copyOf(result);
      return result;
    } finally {
      // Also after a failure: whether the store has changed is not known then.
      await Promise.all(
        changes.map(async (change) => {
          await change.done(value);
        }),
      );
    }
  }
}

/** Keeps what passes through, until it is too much. */
class Gathered {
  readonly #largest: number;
  #chunks: Uint8Array[] = [];
  #size = 0;

  constructor(largest: number) {
    this.#largest = largest;
  }

  async *through(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.#size += chunk.length;
      if (this.#size <= this.#largest) this.#chunks.push(chunk);
      else this.#chunks = [];
      yield chunk;
    }
  }

  /** All that passed, or undefined when that was too much. */
  get bytes(): Buffer | undefined {
    return this.#size <= this.#largest ? Buffer.concat(this.#chunks) : undefined;
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

function encode({ modified, bytes }: Copy): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeDoubleBE(modified.getTime());
  return Buffer.concat([head, bytes]);
}

/** Undefined when it is none of ours. */
function decode(value: Uint8Array): Copy | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes.length < headBytes) return undefined;
  return { modified: new Date(bytes.readDoubleBE()), bytes: bytes.subarray(headBytes) };
}
