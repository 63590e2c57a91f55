import type { Readable } from "node:stream";
import type { ByteRange, StorageDriver } from "../../drivers/storage/driver.ts";
import { isNotFound } from "../../drivers/storage/errors.ts";
import { gathered } from "../../drivers/storage/exact-size.ts";
import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import { RegistryError } from "../errors.ts";
import type { Blobs } from "./blobs.ts";
import { verified, type Digest } from "./digest.ts";
import type { Documents } from "./documents.ts";
import type { OciName } from "./oci-names.ts";
import { blobKey, layerLinkKey } from "./paths.ts";

/** A blob as a repository has it. */
export interface LinkedBlob {
  readonly digest: Digest;
  readonly size: number;
  /** Its object in the store, for front ends that send it in our place. */
  readonly key: string;
  readonly open: (range?: ByteRange) => Promise<Readable>;
  /** A URL of the store that answers the bytes for some minutes, or undefined. */
  readonly redirectUrl: () => Promise<URL | undefined>;
  /** The file on this machine that holds the bytes, or undefined. */
  readonly localPath: string | undefined;
}

/** What the blobs of repositories are read from, and given to others from. */
export interface BlobStore extends Pick<LinkedBlobs, "unlink" | "mount"> {
  /** For "stat" what is answered is not opened. Rejects with BLOB_UNKNOWN. */
  find(name: OciName, digest: Digest, watch?: Watch, wanted?: "stat" | "content"): Promise<LinkedBlob>;
}

/** Up to so many bytes a blob is in memory as a whole before it is written with its link. */
const smallest = 65_536;

/** Long enough for a slow client to begin, short enough that a leaked URL is soon worthless. */
const redirectSeconds = 1200;

/**
 * The blobs of each repository: content is kept once, and a repository sees what was linked into it and nothing else.
 * Links are CNCF Distribution's.
 */
export class LinkedBlobs implements BlobStore {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #blobs: Blobs;

  constructor(parts: { readonly driver: StorageDriver; readonly documents: Documents; readonly blobs: Blobs }) {
    this.#driver = parts.driver;
    this.#documents = parts.documents;
    this.#blobs = parts.blobs;
  }

  /**
   * Rejects with BLOB_UNKNOWN when the repository has no such blob, or has lost its content. What the answer depends on is
   * added to `watch`.
   */
  async find(name: OciName, digest: Digest, watch: Watch = invalidWatch): Promise<LinkedBlob> {
    watch.add(layerLinkKey(name, digest));
    watch.add(blobKey(digest));
    const size = await this.#size(name, digest);
    if (size === undefined) throw unknown(digest);
    const key = blobKey(digest);
    return {
      digest,
      size,
      key,
      open: async (range) => await this.#content(digest, range),
      redirectUrl: async () =>
        await this.#driver.redirectUrl(key, { seconds: redirectSeconds, contentType: "application/octet-stream" }),
      localPath: this.#driver.localPath(key),
    };
  }

  /** What is known of a blob without reading it. Rejects with BLOB_UNKNOWN. */
  async stat(name: OciName, digest: Digest): Promise<{ readonly size: number }> {
    const { size } = await this.find(name, digest);
    return { size };
  }

  /** Rejects with BLOB_UNKNOWN. */
  async open(name: OciName, digest: Digest, range?: ByteRange): Promise<Readable> {
    if (!(await this.#isLinked(name, digest))) throw unknown(digest);
    return await this.#content(digest, range);
  }

  /** Whether the repository has the blob and its content. */
  async has(name: OciName, digest: Digest): Promise<boolean> {
    return (await this.#size(name, digest)) !== undefined;
  }

  /** Keeps what `source` yields as `Blobs.putAs` does, and gives it to the repository. */
  async put(name: OciName, digest: Digest, source: AsyncIterable<Uint8Array>, size?: number): Promise<void> {
    if (size === undefined || size > smallest || !this.#driver.writeInSteps) {
      await this.#blobs.putAs(digest, source, size);
      await this.link(name, digest);
      return;
    }
    const bytes = await gathered(verified(source, digest), size);
    await this.#documents.writeInSteps([[[blobKey(digest), bytes]], [[layerLinkKey(name, digest), digest]]]);
  }

  /** Gives the repository a blob, whose content must be there before; twice is fine. */
  async link(name: OciName, digest: Digest): Promise<void> {
    await this.#documents.write(layerLinkKey(name, digest), digest);
  }

  /** Takes a blob from this repository alone. Rejects with BLOB_UNKNOWN when it has none. */
  async unlink(name: OciName, digest: Digest): Promise<void> {
    if (!(await this.#documents.delete(layerLinkKey(name, digest)))) throw unknown(digest);
  }

  /**
   * Links a blob of the repository `from`, or of any when there is no `from` (OCI distribution 1.1, end-11). Answers
   * false, with nothing done, when it is not there.
   */
  async mount(name: OciName, digest: Digest, from?: OciName): Promise<boolean> {
    const found = from === undefined ? await this.#blobs.has(digest) : await this.has(from, digest);
    if (found) await this.link(name, digest);
    return found;
  }

  async #content(digest: Digest, range?: ByteRange): Promise<Readable> {
    try {
      return await this.#blobs.open(digest, range);
    } catch (error) {
      throw isNotFound(error) ? unknown(digest) : error;
    }
  }

  async #size(name: OciName, digest: Digest): Promise<number | undefined> {
    const [linked, size] = await Promise.all([this.#isLinked(name, digest), this.#blobs.size(digest)]);
    return linked ? size : undefined;
  }

  async #isLinked(name: OciName, digest: Digest): Promise<boolean> {
    return await this.#documents.has(layerLinkKey(name, digest));
  }
}

function unknown(digest: Digest): RegistryError {
  return new RegistryError("BLOB_UNKNOWN", { detail: digest });
}
