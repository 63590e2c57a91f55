import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { merged } from "./merged.ts";
import { digestParts, isDigest, type Digest } from "./digest.ts";
import { isObject, type Documents } from "./documents.ts";
import type { Warn } from "./manifests.ts";
import { readableManifest, referrer, type Referrer } from "./manifest.ts";
import { isOciTag, type OciName } from "./oci-names.ts";
import type { OciTags } from "./oci-tags.ts";
import { blobKey, manifestLinkKey, referrerKey, referrersPrefix } from "./paths.ts";

/** Which referrers are asked for: those of one artifact type, or all; from the first beyond `after`. */
export interface ReferrersQuery {
  readonly artifactType?: string | undefined;
  readonly after?: Digest | undefined;
}

/** Tells what refers to manifests; `warn` is told why that may not be all. */
export interface ReferrerStore {
  /** In the order of their digests. */
  list(name: OciName, subject: Digest, query?: ReferrersQuery, warn?: Warn): AsyncIterable<Referrer>;
}

/** Which manifests name another one as their subject (OCI distribution 1.1, referrers). */
export class Referrers implements ReferrerStore {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #tags: OciTags;

  constructor(parts: { readonly driver: StorageDriver; readonly documents: Documents; readonly tags: OciTags }) {
    this.#driver = parts.driver;
    this.#documents = parts.documents;
    this.#tags = parts.tags;
  }

  async add(name: OciName, subject: Digest, entry: Referrer): Promise<void> {
    await this.#documents.write(referrerKey(name, subject, entry.digest), JSON.stringify(entry));
  }

  async remove(name: OciName, subject: Digest, manifest: Digest): Promise<void> {
    await this.#documents.delete(referrerKey(name, subject, manifest));
  }

  /** In the order of their digests. Those that an older client listed under the fallback tag are among them. */
  async *list(name: OciName, subject: Digest, { artifactType, after }: ReferrersQuery = {}): AsyncGenerator<Referrer> {
    const [own, tagged] = [this.#own(name, subject, after), this.#tagged(name, subject, after)];
    for await (const entry of merged(own, tagged, ({ digest }) => digest)) {
      if (artifactType === undefined || entry.artifactType === artifactType) yield entry;
    }
  }

  async *#own(name: OciName, subject: Digest, after: Digest | undefined): AsyncGenerator<Referrer> {
    const start = after && referrerKey(name, subject, after);
    for await (const { key } of this.#driver.list(referrersPrefix(name, subject), start)) {
      const entry = await this.#documents.readJson(key);
      if (isReferrer(entry) && (await this.#has(name, entry.digest))) yield entry;
    }
  }

  /** The entries of the index under the subject's fallback tag whose manifests really have that subject. */
  async *#tagged(name: OciName, subject: Digest, after: Digest | undefined): AsyncGenerator<Referrer> {
    const { algorithm, hex } = digestParts(subject);
    const tag = `${algorithm}-${hex.slice(0, 64)}`;
    const digest = isOciTag(tag) ? await this.#tags.digest(name, tag) : undefined;
    const index = digest && (await this.#documents.read(blobKey(digest)));
    const listed = new Set(index && readableManifest(index)?.manifests);
    for (const each of [...listed].sort()) {
      if (after !== undefined && each <= after) continue;
      const bytes = (await this.#has(name, each)) ? await this.#documents.read(blobKey(each)) : undefined;
      const manifest = bytes && readableManifest(bytes);
      if (bytes && manifest?.subject === subject) yield referrer(manifest, each, bytes.length);
    }
  }

  async #has(name: OciName, digest: Digest): Promise<boolean> {
    return await this.#documents.has(manifestLinkKey(name, digest));
  }
}

function isReferrer(value: unknown): value is Referrer {
  return isObject(value) && typeof value["digest"] === "string" && isDigest(value["digest"]);
}
