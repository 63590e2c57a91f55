import type { Readable } from "node:stream";
import type { ByteRange, Entry, RedirectOptions, Stat, StorageDriver } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import { download } from "./download.ts";
import { listNames, listObjects } from "./listing.ts";
import type { ObjectBucket } from "./object-bucket.ts";
import { PartMemory } from "./part-memory.ts";
import { upload } from "./upload.ts";

/** How often the store is looked through for what killed processes left, in milliseconds. */
const rounds = 3_600_000;

/**
 * A driver that keeps its objects in `bucket`, which it has asked for: what only the operator can correct rejects here,
 * while a server that does not answer may do so later.
 */
export async function openBucket(
  name: string,
  features: StorageDriver["features"],
  bucket: ObjectBucket,
): Promise<StorageDriver> {
  const driver = new BucketStorage(name, features, bucket);
  try {
    await driver.ping();
  } catch (error) {
    if (!(error instanceof DriverError && error.code === "UNAVAILABLE")) {
      await driver.close();
      throw error;
    }
  }
  return driver;
}

class BucketStorage implements StorageDriver {
  readonly name: string;
  readonly features: StorageDriver["features"];
  readonly #bucket: ObjectBucket;
  readonly #memory: PartMemory;
  readonly #timer: NodeJS.Timeout;

  constructor(name: string, features: StorageDriver["features"], bucket: ObjectBucket) {
    this.name = name;
    this.features = features;
    this.#bucket = bucket;
    this.#memory = new PartMemory(bucket.tuning.memory);
    const cleanUp = (): void => {
      // What can't be removed now is found the next time; a server that lists no uploads can't be helped.
      bucket.removeLeftovers().catch(() => undefined);
    };
    this.#timer = setInterval(cleanUp, rounds);
    this.#timer.unref();
    setImmediate(cleanUp);
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    await this.#checkRange(key, range);
    const { response, head } = await this.#bucket.get(key, range);
    const { size, etag } = head;
    if (range && response.statusCode !== 206) {
      response.destroy();
      if (size === 0) throw outside(key);
      throw new DriverError("UNAVAILABLE", `${key}: the server ignores ranges`);
    }
    const start = range?.start ?? 0;
    return download(response, size, {
      reopen: async (received) => {
        // The rest must be of the same object.
        const rest = await this.#bucket.get(key, { start: start + received, end: start + size }, etag);
        return rest.response;
      },
      fault: (error) => this.#bucket.fault(error, key),
    });
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    const own = this.#bucket.write?.(key, source, this.#memory, size);
    if (own) return await own;
    return await upload(this.#bucket, key, source, this.#memory, size);
  }

  async stat(key: string): Promise<Stat> {
    const { size, modified } = await this.#bucket.head(key);
    return { size, modified };
  }

  list(prefix: string, after?: string): AsyncIterable<Entry> {
    return listObjects(this.#bucket, prefix, after);
  }

  children(prefix: string, after?: string): AsyncIterable<string> {
    return listNames(this.#bucket, prefix, after);
  }

  async move(from: string, to: string): Promise<void> {
    if (await this.#bucket.move?.(from, to)) return;
    await this.copy(from, to);
    if (from !== to) await this.#remove(from, true);
  }

  async copy(from: string, to: string): Promise<void> {
    if (await this.#bucket.copy(from, to)) return;
    const { size } = await this.stat(from);
    await this.write(to, await this.read(from), size);
  }

  async link(from: string, to: string): Promise<void> {
    await this.copy(from, to);
  }

  async delete(key: string): Promise<void> {
    await this.#remove(key, false);
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    return await this.#bucket.signedUrl(key, options);
  }

  localPath(): undefined {
    return undefined;
  }

  /** A listing, not a HEAD: servers say what is wrong in the body of their answer. */
  async ping(): Promise<void> {
    await this.#bucket.page({ prefix: "", after: "", folded: false, limit: 1 });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#bucket.close();
    await Promise.resolve();
  }

  async #remove(key: string, persistent: boolean): Promise<void> {
    try {
      await this.#bucket.remove(key, persistent);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** What no header can say. Whether the object exists is told first. */
  async #checkRange(key: string, range: ByteRange | undefined): Promise<void> {
    if (range === undefined) return;
    const { start, end = Number.MAX_SAFE_INTEGER } = range;
    if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end > start) return;
    await this.stat(key);
    throw outside(key);
  }
}

function outside(key: string): DriverError {
  return new DriverError("INVALID_RANGE", `the range asks for no byte of ${key}`);
}
