import { randomUUID } from "node:crypto";
import { LRUCache } from "lru-cache";
import { Hashing, type Algorithm } from "./digest.ts";
import type { UploadId } from "./upload-id.ts";

/** An upload whose bodies go into one object, one behind the other, and are hashed on their way. */
export interface GrowingUpload {
  /** Names the object. */
  readonly uuid: string;
  /** Of all that the object has. */
  readonly hashing: Hashing;
}

/** So many are remembered; the bodies of others become objects of their own and are hashed together in the end. */
const most = 1_000;

/**
 * What this process alone knows of uploads that it began: how far they are hashed. Whoever takes one is alone with its
 * object until it is given back; who doesn't give it back says that nobody may add to the object any more.
 */
export class GrowingUploads {
  readonly #uploads = new LRUCache<UploadId, GrowingUpload>({ max: most });

  /** A new one, that nobody else knows yet. */
  begin(algorithm: Algorithm): GrowingUpload {
    return { uuid: randomUUID(), hashing: new Hashing(algorithm) };
  }

  /** The upload if this process has hashed all of its `size` bytes and nobody has it. */
  take(id: UploadId, size: number): GrowingUpload | undefined {
    const upload = this.#uploads.get(id);
    this.#uploads.delete(id);
    // With another size, another process has gone on with it.
    return upload?.hashing.size === size ? upload : undefined;
  }

  giveBack(id: UploadId, upload: GrowingUpload): void {
    this.#uploads.set(id, upload);
  }

  forget(id: UploadId): void {
    this.#uploads.delete(id);
  }
}
