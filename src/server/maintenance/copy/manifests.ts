import type { Digest } from "../../registry/digest.ts";
import type { OciName } from "../../registry/oci-names.ts";
import { blobKey, layerLinkKey, manifestImageKey, manifestLinkKey } from "../../registry/paths.ts";
import type { BlobCopy } from "./blobs.ts";
import type { ImageCopy } from "./images.ts";
import { NotCopied, settled } from "./not-copied.ts";
import { Outcomes } from "./outcomes.ts";
import type { CopyParts } from "./parts.ts";
import { soundManifest } from "./sound-manifest.ts";

/** Outcomes that are remembered: most manifests are met as a revision and as what a tag names. */
const remembered = 20_000;

interface ManifestParts extends CopyParts {
  readonly blobs: BlobCopy;
  readonly images: ImageCopy;
}

/** Gives repositories of the target the manifests that they have in the source: all that one refers to before itself. */
export class ManifestCopy {
  readonly #parts: ManifestParts;
  readonly #outcomes = new Outcomes<string, void>(remembered);

  constructor(parts: ManifestParts) {
    this.#parts = parts;
  }

  /** Afterwards the repository has the manifest. Rejects with `NotCopied`; then nothing names it. */
  async ensure(name: OciName, digest: Digest): Promise<void> {
    await this.#outcomes.of(`${name} ${digest}`, async () => {
      await this.#ensure(name, digest);
    });
  }

  async #ensure(name: OciName, digest: Digest): Promise<void> {
    const { documents } = this.#parts.to;
    const link = manifestLinkKey(name, digest);
    const [isLinked, isThere] = await Promise.all([documents.has(link), documents.has(blobKey(digest))]);
    const { manifests } = this.#parts.tally;
    if (isLinked && isThere && !this.#parts.verify) {
      manifests.there++;
      return;
    }
    const manifest = await soundManifest(this.#parts.from.documents, digest);
    await settled(
      [...new Set(manifest.manifests)].map(async (child) => {
        // A registry may take an index without all that it lists.
        if (await this.#parts.from.documents.has(manifestLinkKey(name, child))) await this.ensure(name, child);
      }),
    );
    await this.#parts.blobs.ensureAll(manifest.blobs);
    await settled(
      [...new Set(manifest.blobs)].map(async (blob) => {
        const key = layerLinkKey(name, blob);
        if (!(await documents.has(key))) await this.#parts.sink.document(key, blob);
      }),
    );
    await this.#copyImage(digest);
    await this.#parts.blobs.ensure(digest);
    if (!isLinked) await this.#parts.sink.document(link, digest);
    manifests[isLinked && isThere ? "there" : "copied"]++;
  }

  /** What V1 clients know the manifest as: they would see other ids otherwise. One that was derived is derived again. */
  async #copyImage(digest: Digest): Promise<void> {
    const known = await this.#parts.from.records.imageOf(digest);
    if (known?.origin !== "pushed" || (await this.#parts.to.records.imageOf(digest))?.origin === "pushed") return;
    try {
      await this.#parts.images.ensure(known.image);
    } catch (error) {
      if (error instanceof NotCopied) return;
      throw error;
    }
    await this.#parts.sink.document(manifestImageKey(digest), JSON.stringify(known));
  }
}
