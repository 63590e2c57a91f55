import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import type { ByteRange, StorageDriver } from "../../drivers/storage/driver.ts";
import { isNotFound } from "../../drivers/storage/errors.ts";
import { Hashing, verified, type Digest } from "./digest.ts";
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
      await this.adopt(staged, digest, hashing.size);
    } catch (error) {
      await this.#driver.delete(staged).catch(() => undefined);
      throw error;
    }
    return { digest, size: hashing.size };
  }

  /**
   * Keeps what `source` yields if that is the content of `digest`; else nothing, and rejects with DIGEST_INVALID.
   * `size`, in bytes, where it is known.
   */
  async putAs(digest: Digest, source: AsyncIterable<Uint8Array>, size?: number): Promise<void> {
    await this.#driver.write(blobKey(digest), verified(source, digest), size);
  }

  /**
   * Makes the object at `key` the blob, without reading it: the caller has found `digest` and `size` while it wrote it.
   * That the object has become the blob before is fine; rejects with the driver's NOT_FOUND when neither is there.
   */
  async adopt(key: string, digest: Digest, size: number): Promise<void> {
    if ((await this.size(digest)) === size) await this.#driver.delete(key);
    else await this.#driver.move(key, blobKey(digest));
  }

  /**
   * As `adopt`, but the object stays what it is, and shares its content with the blob where the storage can. The caller
   * vouches that it has not changed since `digest` was found.
   */
  async share(key: string, digest: Digest, size: number): Promise<void> {
    if ((await this.size(digest)) !== size) await this.#driver.link(key, blobKey(digest));
  }

  /** Rejects with the driver's NOT_FOUND when there is no such blob. */
  async open(digest: Digest, range?: ByteRange): Promise<Readable> {
    return await this.#driver.read(blobKey(digest), range);
  }

  async has(digest: Digest): Promise<boolean> {
    return (await this.size(digest)) !== undefined;
  }

  /** The size in bytes, or undefined when there is no such blob. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      return (await this.#driver.stat(blobKey(digest))).size;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}
