import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import type { ByteRange, StorageDriver } from "../../drivers/storage/driver.ts";
import { isNotFound } from "../../drivers/storage/errors.ts";
import { Hashing, type Digest } from "./digest.ts";
import { blobKey, uploadKey } from "./paths.ts";

/** Content by digest. Invariant: what is under a blob's key is what its digest says. */
export class Blobs {
  readonly #driver: StorageDriver;

  constructor(driver: StorageDriver) {
    this.#driver = driver;
  }

  /** Keeps all that `source` yields. When it throws, nothing is kept and the promise rejects with its error. */
  async put(source: AsyncIterable<Uint8Array>): Promise<{ readonly digest: Digest; readonly size: number }> {
    const staged = uploadKey(randomUUID());
    const hashing = new Hashing();
    await this.#driver.write(staged, hashing.through(source));
    const digest = hashing.digest();
    try {
      if (await this.has(digest)) await this.#driver.delete(staged);
      else await this.#driver.move(staged, blobKey(digest));
    } catch (error) {
      await this.#driver.delete(staged).catch(() => undefined);
      throw error;
    }
    return { digest, size: hashing.size };
  }

  /** Rejects with the driver's NOT_FOUND when there is no such blob. */
  async open(digest: Digest, range?: ByteRange): Promise<Readable> {
    return await this.#driver.read(blobKey(digest), range);
  }

  async has(digest: Digest): Promise<boolean> {
    try {
      await this.#driver.stat(blobKey(digest));
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }
}
