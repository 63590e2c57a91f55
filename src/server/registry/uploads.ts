import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { DriverError } from "../../drivers/storage/errors.ts";
import { RegistryError } from "../errors.ts";
import type { Blobs } from "./blobs.ts";
import { differs, digestParts, Hashing, verified, type Algorithm, type Digest } from "./digest.ts";
import type { Documents } from "./documents.ts";
import { GrowingUploads, type GrowingUpload } from "./growing-uploads.ts";
import type { LinkedBlobs } from "./linked-blobs.ts";
import type { OciName } from "./oci-names.ts";
import { uploadsPrefix } from "./paths.ts";
import { checkedBody, outOfOrder, type UploadBody } from "./upload-body.ts";
import { UploadChunks, type Chunk } from "./upload-chunks.ts";
import { UploadIds, type UploadId, type UploadIdentity } from "./upload-id.ts";

/** Bounds of uploads. */
export interface UploadLimits {
  /** The largest blob, in bytes; 0 sets no limit. */
  readonly maxSize: number;
  /** Hours after which an upload counts as abandoned when nothing more came. */
  readonly maxAge: number;
}

/** How many uploads that are over are remembered; others are told by what is left of them in the store. */
const remembered = 10_000;
const hour = 3_600_000;

/**
 * Blobs on their way into a repository (design: each request's body is one immutable object, all state is in the store,
 * any process goes on with any upload). Everything about an upload that is over, abandoned, of another repository or never
 * began rejects with BLOB_UPLOAD_UNKNOWN.
 */
export class Uploads {
  readonly #driver: StorageDriver;
  readonly #blobs: Blobs;
  readonly #links: LinkedBlobs;
  readonly #limits: UploadLimits;
  readonly #ids: UploadIds;
  readonly #chunks: UploadChunks;
  readonly #growing = new GrowingUploads();
  readonly #over = new Set<UploadId>();

  constructor(parts: {
    readonly driver: StorageDriver;
    readonly documents: Documents;
    readonly blobs: Blobs;
    readonly linkedBlobs: LinkedBlobs;
    readonly limits: UploadLimits;
  }) {
    this.#driver = parts.driver;
    this.#blobs = parts.blobs;
    this.#links = parts.linkedBlobs;
    this.#limits = parts.limits;
    this.#ids = new UploadIds(parts.driver, parts.documents);
    this.#chunks = new UploadChunks(parts.driver, parts.documents);
  }

  /** Begins an upload; nothing is written. `algorithm` is what the digest is expected to have, any other will do. */
  async start(name: OciName, algorithm: Algorithm = "sha256"): Promise<UploadId> {
    return await this.#ids.issue(name, algorithm);
  }

  /** How many bytes have arrived. */
  async size(name: OciName, id: string): Promise<number> {
    return (await this.#open(name, id)).size;
  }

  /**
   * Adds a body to the end, and answers how many bytes there are now. A body that breaks off adds nothing. Rejects with
   * BLOB_UPLOAD_OUT_OF_ORDER when it is for another place, or another body came first, SIZE_INVALID when it is not as long
   * as it said, BODY_TOO_LARGE.
   */
  async append(name: OciName, text: string, body: UploadBody): Promise<number> {
    const { id, size: offset, algorithm } = await this.#open(name, text);
    const source = checkedBody(body, offset, this.#limits.maxSize);
    const growing = this.#growingFor(id, offset, algorithm, body);
    if (growing) return await this.#grow(name, id, growing, source);
    const hashing = offset === 0 ? new Hashing(algorithm) : undefined;
    const kept = await this.#chunks.keep(id, hashing?.through(source) ?? source, body.length);
    if (kept.size === 0) {
      await this.#chunks.drop(id, kept.uuid);
      return offset;
    }
    const isAdded = await this.#chunks.add(id, { ...kept, offset, digest: hashing?.digest() });
    return await this.#added(name, id, offset + kept.size, isAdded);
  }

  /**
   * Makes the upload, with `body` as its end, a blob of the repository. A failure leaves the upload as it was before.
   * Rejects with DIGEST_INVALID, and as `append` does.
   */
  async finish(name: OciName, text: string, digest: Digest, body?: UploadBody): Promise<void> {
    const { id, chunks, size } = await this.#open(name, text);
    const rest = body && { source: checkedBody(body, size, this.#limits.maxSize), length: body.length };
    const growing = this.#growing.take(id, size);
    const [first, ...more] = chunks;
    if (!first) {
      await this.#links.put(name, digest, rest?.source ?? nothing(), rest ? rest.length : 0);
    } else {
      try {
        if (growing?.hashing.algorithm === digestParts(digest).algorithm) await this.#settle(id, growing, digest, rest);
        else await this.#store(id, [first, ...more], digest, rest);
      } catch (error) {
        throw isLost(error) ? unknown() : error;
      }
      await this.#links.link(name, digest);
    }
    await this.#end(id, chunks.length > 0);
  }

  /** Stores a whole blob in one request (OCI distribution 1.1, end-4b). Rejects with DIGEST_INVALID or BODY_TOO_LARGE. */
  async put(name: OciName, digest: Digest, body: UploadBody): Promise<void> {
    await this.#links.put(name, digest, checkedBody(body, 0, this.#limits.maxSize), body.length);
  }

  /** Ends an upload for good. */
  async cancel(name: OciName, text: string): Promise<void> {
    const { id } = await this.#open(name, text);
    await this.#chunks.cancel(id);
    await this.#end(id, true);
  }

  /**
   * Deletes what nobody has added to for `maxAge` hours: uploads and other content that never became a blob. `now` in
   * milliseconds since 1970. Answers how many objects went.
   */
  async reap(now = Date.now()): Promise<number> {
    const oldest = now - this.#limits.maxAge * hour;
    let removed = 0;
    let group: { readonly name: string; readonly keys: string[]; newest: number } | undefined;
    const end = async (): Promise<void> => {
      if (!group || group.newest >= oldest) return;
      // What says that an upload was cancelled comes first in order, and goes last.
      for (const key of group.keys.reverse()) await this.#driver.delete(key);
      removed += group.keys.length;
    };
    for await (const { key, modified } of this.#driver.list(uploadsPrefix)) {
      const [name = ""] = key.slice(uploadsPrefix.length + 1).split("/", 1);
      if (group?.name !== name) {
        await end();
        group = { name, keys: [], newest: 0 };
      }
      group.keys.push(key);
      group.newest = Math.max(group.newest, modified.getTime());
    }
    await end();
    return removed;
  }

  async #open(
    name: OciName,
    text: string,
  ): Promise<UploadIdentity & { readonly chunks: readonly Chunk[]; readonly size: number }> {
    const identity = await this.#ids.read(name, text);
    if (!identity) throw unknown();
    const { chunks, size, isCancelled } = await this.#chunks.list(identity.id);
    // Asked after the list: another request may have ended the upload, and removed its chunks, meanwhile.
    if (this.#over.has(identity.id)) throw unknown();
    const isAbandoned = chunks.length === 0 && Date.now() - identity.begun.getTime() > this.#limits.maxAge * hour;
    if (isCancelled || isAbandoned) throw unknown();
    return { ...identity, chunks, size };
  }

  /** What a body is added to, so that no byte is hashed or written twice: for clients that say that more will come. */
  #growingFor(id: UploadId, offset: number, algorithm: Algorithm, body: UploadBody): GrowingUpload | undefined {
    if (offset > 0) return this.#growing.take(id, offset);
    return body.range && this.#chunks.canGrow ? this.#growing.begin(algorithm) : undefined;
  }

  async #grow(
    name: OciName,
    id: UploadId,
    { uuid, hashing: before }: GrowingUpload,
    source: AsyncIterable<Uint8Array>,
  ): Promise<number> {
    const [offset, hashing] = [before.size, before.copy()];
    const isFirst = offset === 0;
    const leave = async (): Promise<void> => {
      if (isFirst) await this.#chunks.drop(id, uuid);
      else this.#growing.giveBack(id, { uuid, hashing: before });
    };
    try {
      await this.#chunks.grow(id, { uuid, size: offset }, hashing.through(source));
    } catch (error) {
      await leave().catch(() => undefined);
      throw isLost(error) ? unknown() : error;
    }
    const size = hashing.size - offset;
    if (size === 0) {
      await leave();
      return offset;
    }
    const isAdded = await this.#chunks.add(id, { offset, size, uuid, digest: undefined }, !isFirst);
    if (isAdded) this.#growing.giveBack(id, { uuid, hashing });
    return await this.#added(name, id, hashing.size, isAdded);
  }

  async #added(name: OciName, id: UploadId, size: number, isAdded: boolean): Promise<number> {
    if (this.#over.has(id)) await this.#end(id, true);
    if (isAdded && !this.#over.has(id)) return size;
    await this.#open(name, id);
    throw outOfOrder();
  }

  /** Makes the object that all bodies went into the blob; `rest` becomes its end. */
  async #settle(
    id: UploadId,
    growing: GrowingUpload,
    digest: Digest,
    rest: Pick<UploadBody, "source"> | undefined,
  ): Promise<void> {
    const { uuid, hashing: before } = growing;
    const hashing = before.copy();
    try {
      if (rest) await this.#chunks.grow(id, { uuid, size: before.size }, hashing.through(rest.source));
      const found = hashing.digest();
      if (found !== digest) throw differs(found);
      if (!rest) await this.#chunks.grow(id, { uuid, size: before.size }, nothing());
    } catch (error) {
      this.#growing.giveBack(id, growing);
      throw error;
    }
    // From here on the object may be the blob: nobody may add to it, whatever happens. It stays an upload's too until the
    // upload has ended: another process can do all this again.
    await this.#blobs.share(this.#chunks.dataKey(id, { uuid }), digest, hashing.size);
  }

  async #store(
    id: UploadId,
    chunks: readonly [Chunk, ...Chunk[]],
    digest: Digest,
    rest: Pick<UploadBody, "source"> | undefined,
  ): Promise<void> {
    const [first, ...more] = chunks;
    if (more.length > 0 || rest || !first.digest) {
      // Another process may still add to an object without a digest.
      await this.#blobs.putAs(digest, this.#joined(id, chunks, rest?.source));
    } else {
      await this.#requireDigest(id, first, digest);
      await this.#blobs.adopt(this.#chunks.dataKey(id, first), digest, first.size);
    }
  }

  /** Only a digest of another algorithm than was expected needs the bytes once more. */
  async #requireDigest(id: UploadId, chunk: Chunk, digest: Digest): Promise<void> {
    if (chunk.digest === digest) return;
    if (chunk.digest && digestParts(chunk.digest).algorithm === digestParts(digest).algorithm) {
      throw differs(chunk.digest);
    }
    const bytes = verified(this.#chunks.read(id, [chunk]), digest);
    while (!(await bytes.next()).done);
  }

  async *#joined(
    id: UploadId,
    chunks: readonly Chunk[],
    rest: AsyncIterable<Uint8Array> | undefined,
  ): AsyncGenerator<Uint8Array> {
    yield* this.#chunks.read(id, chunks);
    if (rest) yield* rest;
  }

  /** What is left in the store when this fails is reaped. */
  async #end(id: UploadId, hasChunks: boolean): Promise<void> {
    this.#over.add(id);
    this.#growing.forget(id);
    for (const oldest of this.#over) {
      if (this.#over.size <= remembered) break;
      this.#over.delete(oldest);
    }
    if (hasChunks) await this.#chunks.remove(id).catch(() => undefined);
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // Yields nothing.
}

/** Whether it says that bytes of an upload are gone: it was ended meanwhile, or a power cut has taken them. */
function isLost(error: unknown): boolean {
  return error instanceof DriverError && (error.code === "NOT_FOUND" || error.code === "INVALID_RANGE");
}

function unknown(): RegistryError {
  return new RegistryError("BLOB_UPLOAD_UNKNOWN");
}
