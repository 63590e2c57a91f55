import type { Blobs } from "../blobs.ts";
import type { Digest } from "../digest.ts";
import type { Documents } from "../documents.ts";
import { parseStoredManifest, type Manifest } from "../manifest.ts";
import type { OciName } from "../oci-names.ts";
import { blobKey, layerLinkKey, manifestLinkKey } from "../paths.ts";

/** Gives repositories the manifests that come to them through V1's tags, with all that these refer to. */
export class ManifestLinks {
  readonly #documents: Documents;
  readonly #blobs: Blobs;

  constructor(parts: { readonly documents: Documents; readonly blobs: Blobs }) {
    this.#documents = parts.documents;
    this.#blobs = parts.blobs;
  }

  /**
   * Links the manifest into the repository, last after its blobs; nothing when that was done before. Answers false, with
   * nothing done, when some of the content is not there.
   */
  async link(name: OciName, digest: Digest): Promise<boolean> {
    if (await this.#documents.has(manifestLinkKey(name, digest))) return true;
    const manifest = await this.#whole(digest);
    if (!manifest) return false;
    await this.#documents.writeEach([...new Set(manifest.blobs)].map((blob) => [layerLinkKey(name, blob), blob]));
    await this.#documents.write(manifestLinkKey(name, digest), digest);
    return true;
  }

  /** Whether the manifest and its blobs are there. */
  async isWhole(digest: Digest): Promise<boolean> {
    return (await this.#whole(digest)) !== undefined;
  }

  async #whole(digest: Digest): Promise<Manifest | undefined> {
    const bytes = await this.#documents.read(blobKey(digest));
    const manifest = bytes && parseStoredManifest(bytes);
    const areThere = await Promise.all((manifest?.blobs ?? []).map(async (blob) => await this.#blobs.has(blob)));
    return areThere.includes(false) ? undefined : manifest;
  }
}
