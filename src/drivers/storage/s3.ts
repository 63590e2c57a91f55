import type { Readable } from "node:stream";
import { defineStorage } from "./define.ts";
import type { ByteRange, Entry, RedirectOptions, Stat, StorageDriver } from "./driver.ts";
import { DriverError, isNotFound } from "./errors.ts";
import { headOf, type Bucket, type Tuning } from "./s3/bucket.ts";
import { copyObject } from "./s3/copy.ts";
import { download } from "./s3/download.ts";
import { driverError } from "./s3/failure.ts";
import { removeLeftovers } from "./s3/leftovers.ts";
import { listNames, listObjects } from "./s3/listing.ts";
import { readPage } from "./s3/page.ts";
import { s3Schema, type S3Settings } from "./s3/options.ts";
import { PartMemory } from "./s3/part-memory.ts";
import type { Transport } from "./s3/transport.ts";
import { upload } from "./s3/upload.ts";

const features = { redirect: true, localFiles: false } as const;

/** Objects in a bucket of Amazon S3, or of any server that speaks its protocol, such as Ceph's gateway. */
export const s3 = defineStorage({
  name: "s3",
  aliases: [],
  summary: "Objects in a bucket of Amazon S3, Ceph or another server that speaks S3.",
  features,
  options: s3Schema,
  open: async (settings) => await openS3(settings),
});

const mebibyte = 1_048_576;

/** What the driver works with, but for what is said otherwise. */
export function s3Tuning(tuning: Partial<Tuning>): Tuning {
  return { ...usual, ...tuning };
}

const usual: Tuning = {
  partSize: 8 * mebibyte,
  memory: 128 * mebibyte,
  // What Amazon copies by one request.
  copyLimit: 5 * 1024 * mebibyte,
  copyPart: 1024 * mebibyte,
  pageSize: 1000,
  idle: 60_000,
  attempts: 4,
  delay: 250,
};

/** How often the store is looked through for what killed processes left, in milliseconds. */
const rounds = 3_600_000;

/**
 * Opens the store and asks for its bucket: what only the operator can correct rejects here, while a server that does not
 * answer may do so later. The client library is loaded here, not before.
 */
export async function openS3(settings: S3Settings, tuning: Partial<Tuning> = {}): Promise<StorageDriver> {
  const { connect } = await import("./s3/connect.ts");
  const { bucket, transport } = await connect(settings, s3Tuning(tuning));
  const driver = new S3Storage(bucket, transport);
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

class S3Storage implements StorageDriver {
  readonly name = "s3";
  readonly features = features;
  readonly #bucket: Bucket;
  readonly #transport: Transport;
  readonly #memory: PartMemory;
  readonly #timer: NodeJS.Timeout;

  constructor(bucket: Bucket, transport: Transport) {
    this.#bucket = bucket;
    this.#transport = transport;
    this.#memory = new PartMemory(bucket.tuning.memory);
    const cleanUp = (): void => {
      // What can't be removed now is found the next time; a server that lists no uploads can't be helped.
      removeLeftovers(bucket).catch(() => undefined);
    };
    this.#timer = setInterval(cleanUp, rounds);
    this.#timer.unref();
    setImmediate(cleanUp);
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    await this.#checkRange(key, range);
    const response = await this.#bucket.open({ method: "GET", key, headers: rangeHeader(range) });
    const { size, etag } = headOf(response.headers);
    if (range && response.statusCode !== 206) {
      response.destroy();
      if (size === 0) throw outside(key);
      throw new DriverError("UNAVAILABLE", `${key}: the server ignores ranges`);
    }
    const start = range?.start ?? 0;
    return download(response, size, {
      reopen: async (received) => {
        const rest = { start: start + received, end: start + size };
        // The rest must be of the same object.
        const headers = { ...rangeHeader(rest), ...(etag !== "" && { "if-match": etag }) };
        return await this.#bucket.open({ method: "GET", key, headers });
      },
      fault: (error) => driverError(error, { bucket: this.#bucket.name, key }),
    });
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
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
    await copyObject(this.#bucket, from, to);
    if (from !== to) await this.#remove(from, true);
  }

  async copy(from: string, to: string): Promise<void> {
    await copyObject(this.#bucket, from, to);
  }

  async link(from: string, to: string): Promise<void> {
    await copyObject(this.#bucket, from, to);
  }

  async delete(key: string): Promise<void> {
    await this.#remove(key, false);
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL> {
    return await this.#bucket.signedUrl(key, options);
  }

  localPath(): undefined {
    return undefined;
  }

  /** A listing, not a HEAD: servers say what is wrong in the body of their answer. */
  async ping(): Promise<void> {
    await readPage(this.#bucket, { prefix: "", after: "", folded: false, limit: 1 });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#transport.close();
    await Promise.resolve();
  }

  async #remove(key: string, persistent: boolean): Promise<void> {
    try {
      await this.#bucket.ask({ method: "DELETE", key, persistent });
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

function rangeHeader(range: ByteRange | undefined): Readonly<Record<string, string>> {
  if (range === undefined) return {};
  const last = range.end === undefined ? "" : String(range.end - 1);
  return { range: `bytes=${range.start}-${last}` };
}

function outside(key: string): DriverError {
  return new DriverError("INVALID_RANGE", `the range asks for no byte of ${key}`);
}
