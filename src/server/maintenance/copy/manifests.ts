import { LRUCache } from "lru-cache";
import type { Digest } from "../../registry/digest.ts";
import type { OciName } from "../../registry/oci-names.ts";
import { blobKey, layerLinkKey, manifestImageKey, manifestLinkKey } from "../../registry/paths.ts";
import type { BlobCopy } from "./blobs.ts";
import type { Tally } from "./counts.ts";
import type { ImageCopy } from "./images.ts";
import { NotCopied, settled } from "./not-copied.ts";
import type { CopyParts } from "./parts.ts";
import type { Side } from "./side.ts";
import type { CopySink } from "./sink.ts";
import { soundManifest } from "./sound-manifest.ts";

/** Outcomes that are remembered: most manifests are met as a revision and as what a tag names. */
const remembered = 20_000;

/** Gives repositories of the target the manifests that they have in the source: all that one refers to before itself. */
export class ManifestCopy {
  readonly #from: Side;
  readonly #to: Side;
  readonly #sink: CopySink;
  readonly #tally: Tally;
  readonly #verify: boolean;
  readonly #blobs: BlobCopy;
  readonly #images: ImageCopy;
  readonly #outcomes = new LRUCache<string, Promise<void>>({ max: remembered });

  constructor(parts: CopyParts & { readonly blobs: BlobCopy; readonly images: ImageCopy }) {
    this.#from = parts.from;
    this.#to = parts.to;
    this.#sink = parts.sink;
    this.#tally = parts.tally;
    this.#verify = parts.verify;
    this.#blobs = parts.blobs;
    this.#images = parts.images;
  }

  /** Afterwards the repository has the manifest. Rejects with `NotCopied`; then nothing names it. */
  async ensure(name: OciName, digest: Digest): Promise<void> {
    const place = `${name} ${digest}`;
    const known = this.#outcomes.get(place) ?? this.#ensure(name, digest);
    this.#outcomes.set(place, known);
    await known;
  }

  async #ensure(name: OciName, digest: Digest): Promise<void> {
    const { documents } = this.#to;
    const link = manifestLinkKey(name, digest);
    const [isLinked, isThere] = await Promise.all([documents.has(link), documents.has(blobKey(digest))]);
    const { manifests } = this.#tally;
    if (isLinked && isThere && !this.#verify) {
      manifests.there++;
      return;
    }
    const manifest = await soundManifest(this.#from.documents, digest);
    await settled(
      [...new Set(manifest.manifests)].map(async (child) => {
        // A registry may take an index without all that it lists.
        if (await this.#from.documents.has(manifestLinkKey(name, child))) await this.ensure(name, child);
      }),
    );
    await this.#blobs.ensureAll(manifest.blobs);
    await settled(
      [...new Set(manifest.blobs)].map(async (blob) => {
        const key = layerLinkKey(name, blob);
        if (!(await documents.has(key))) await this.#sink.document(key, blob);
      }),
    );
    await this.#copyImage(digest);
    await this.#blobs.ensure(digest);
    if (!isLinked) await this.#sink.document(link, digest);
    manifests[isLinked && isThere ? "there" : "copied"]++;
  }

  /** What V1 clients know the manifest as: they would see other ids otherwise. One that was derived is derived again. */
  async #copyImage(digest: Digest): Promise<void> {
    const known = await this.#from.records.imageOf(digest);
    if (known?.origin !== "pushed" || (await this.#to.records.imageOf(digest))?.origin === "pushed") return;
    try {
      await this.#images.ensure(known.image);
    } catch (error) {
      if (error instanceof NotCopied) return;
      throw error;
    }
    await this.#sink.document(manifestImageKey(digest), JSON.stringify(known));
  }
}
