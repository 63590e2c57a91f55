import { LRUCache } from "lru-cache";
import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import { RegistryError } from "../errors.ts";
import { differs, digestAs, digestParts, type Digest } from "./digest.ts";
import type { Document, Documents } from "./documents.ts";
import type { Events } from "./events.ts";
import { groups } from "./groups.ts";
import type { LinkedBlobs } from "./linked-blobs.ts";
import {
  parseManifest,
  parsePushedManifest,
  parseStoredManifest,
  readableManifest,
  referrer,
  type Manifest,
} from "./manifest.ts";
import type { OciName, OciTag, Reference } from "./oci-names.ts";
import type { OciTags } from "./oci-tags.ts";
import { blobKey, manifestLinkKey, ociTagIndexKey, ociTagKey } from "./paths.ts";
import type { Referrers } from "./referrers.ts";

/** A manifest as it was pushed. */
export interface StoredManifest {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly mediaType: string;
}

/** What a push of a manifest wants to be: named by tags, by a digest, or both. */
export interface ManifestPush {
  readonly bytes: Buffer;
  readonly contentType: string | undefined;
  /** The digest that the client expects; sha256 of the bytes by default. */
  readonly digest: Digest | undefined;
  readonly tags: readonly OciTag[];
}

/** What names manifests. */
export type ManifestTags = Pick<OciTags, "digest" | "naming" | "remove">;

/** Told what a client should know of an answer, as the value of a `Warning` header. */
export type Warn = (warning: string) => void;

/** What the manifests of a registry are read from and pushed to. */
export interface ManifestStore extends Pick<Manifests, "put" | "delete"> {
  get(name: OciName, reference: Reference, watch?: Watch, warn?: Warn): Promise<StoredManifest>;
}

/** How much of the memory manifests that are asked for often may take, in bytes. */
const hotBytes = 32 * 1024 * 1024;

/** So many references are looked at side by side; a manifest of 4 MiB has some 50,000. */
const atOnce = 128;

/** How many of the references that a repository lacks an error names. */
const mostNamed = 10;

/** The manifests of repositories. A repository has those that were pushed to it. */
export class Manifests implements ManifestStore {
  readonly #documents: Documents;
  readonly #blobs: LinkedBlobs;
  readonly #tags: ManifestTags;
  readonly #referrers: Referrers;
  readonly #events: Events;
  readonly #allowSparseIndexes: boolean;
  readonly #hot = new LRUCache<Digest, StoredManifest>({
    maxSize: hotBytes,
    sizeCalculation: ({ bytes }) => bytes.length,
  });

  constructor(parts: {
    readonly documents: Documents;
    readonly blobs: LinkedBlobs;
    readonly tags: ManifestTags;
    readonly referrers: Referrers;
    readonly events: Events;
    /** Whether an index may name manifests that the repository lacks. */
    readonly allowSparseIndexes: boolean;
  }) {
    this.#documents = parts.documents;
    this.#blobs = parts.blobs;
    this.#tags = parts.tags;
    this.#referrers = parts.referrers;
    this.#events = parts.events;
    this.#allowSparseIndexes = parts.allowSparseIndexes;
  }

  /**
   * Rejects with MANIFEST_UNKNOWN; also for a tag whose manifest another program has removed. What the answer depends on is
   * added to `watch`.
   */
  async get(name: OciName, reference: Reference, watch: Watch = invalidWatch): Promise<StoredManifest> {
    const digest = reference.kind === "tag" ? await this.#tags.digest(name, reference.tag, watch) : reference.digest;
    if (digest) watch.add(manifestLinkKey(name, digest));
    const manifest = digest && (await this.#isLinked(name, digest)) ? await this.#content(digest) : undefined;
    if (!manifest) throw unknown(reference);
    return manifest;
  }

  /** What is at a digest never changes, so a copy in memory is as good as the store's. */
  async #content(digest: Digest): Promise<StoredManifest | undefined> {
    const known = this.#hot.get(digest);
    if (known) return known;
    const bytes = await this.#documents.read(blobKey(digest));
    if (!bytes) return undefined;
    const manifest = { digest, bytes, mediaType: parseStoredManifest(bytes).mediaType };
    this.#hot.set(digest, manifest);
    return manifest;
  }

  /** Whether the repository has the manifest and its content. */
  async has(name: OciName, digest: Digest): Promise<boolean> {
    const [linked, kept] = await Promise.all([this.#isLinked(name, digest), this.#documents.has(blobKey(digest))]);
    return linked && kept;
  }

  /** Whether the content is there, for any repository. */
  async isKept(digest: Digest): Promise<boolean> {
    return await this.#documents.has(blobKey(digest));
  }

  async #isLinked(name: OciName, digest: Digest): Promise<boolean> {
    return await this.#documents.has(manifestLinkKey(name, digest));
  }

  /**
   * Keeps a manifest and points tags at it: content first, then the repository's link, then what refers to its subject, the
   * tags last. Rejects with MANIFEST_INVALID, DIGEST_INVALID, or MANIFEST_BLOB_UNKNOWN when the repository lacks what the
   * manifest needs. Answers the digest and the subject, if it has one.
   */
  async put(
    name: OciName,
    push: ManifestPush,
  ): Promise<{ readonly digest: Digest; readonly subject: Digest | undefined }> {
    const manifest = parsePushedManifest(push.bytes, push.contentType);
    const digest = digestAs(push.digest === undefined ? "sha256" : digestParts(push.digest).algorithm, push.bytes);
    if (push.digest !== undefined && push.digest !== digest) throw differs(digest);
    await this.#requireReferences(name, manifest);
    await this.#keepLinked(name, manifest, { digest, bytes: push.bytes, tags: push.tags });
    return { digest, subject: manifest.subject };
  }

  /**
   * As `put`, for a manifest of another registry whose digest was verified: what it refers to comes when somebody asks for
   * it. Rejects with MANIFEST_INVALID.
   */
  async adopt(
    name: OciName,
    adopted: { readonly digest: Digest; readonly bytes: Buffer; readonly contentType: string | undefined; readonly tags: readonly OciTag[] }, // prettier-ignore
  ): Promise<StoredManifest> {
    const { digest, bytes, contentType } = adopted;
    await this.#keepLinked(name, parseManifest(bytes, contentType), adopted);
    return { digest, bytes, mediaType: parseStoredManifest(bytes).mediaType };
  }

  /** Content first, then the repository's link, then what refers to its subject, the tags last. */
  async #keepLinked(
    name: OciName,
    manifest: Manifest,
    { digest, bytes, tags }: { readonly digest: Digest; readonly bytes: Buffer; readonly tags: readonly OciTag[] },
  ): Promise<void> {
    const isKept = (await this.#documents.size(blobKey(digest))) === bytes.length;
    const content: readonly Document[] = isKept ? [] : [[blobKey(digest), bytes]];
    const link: Document = [manifestLinkKey(name, digest), digest];
    const tagLinks = tags.flatMap((tag): readonly Document[] => [
      [ociTagIndexKey(name, tag, digest), digest],
      [ociTagKey(name, tag), digest],
    ]);
    if (manifest.subject === undefined) {
      await this.#documents.writeInSteps([content, [link], tagLinks]);
    } else {
      await this.#documents.writeInSteps([content, [link]]);
      await this.#referrers.add(name, manifest.subject, referrer(manifest, digest, bytes.length));
      await this.#documents.writeEach(tagLinks);
    }
    await this.#events.emit({ type: "repository.updated", repository: name });
  }

  /** Removes the manifest and every tag that names it; the tags first, so that none is left without it. */
  async delete(name: OciName, digest: Digest): Promise<void> {
    if (!(await this.#isLinked(name, digest))) throw unknown({ kind: "digest", digest });
    for await (const tag of this.#tags.naming(name, digest)) await this.#tags.remove(name, tag);
    const subject = await this.#subjectOf(digest);
    if (subject !== undefined) await this.#referrers.remove(name, subject, digest);
    await this.#documents.delete(manifestLinkKey(name, digest));
  }

  async #requireReferences(name: OciName, { blobs, manifests }: Manifest): Promise<void> {
    const lacking = async (
      digests: readonly Digest[],
      has: (digest: Digest) => Promise<boolean>,
    ): Promise<readonly Digest[]> => {
      const found: Digest[] = [];
      for await (const some of groups(new Set(digests), atOnce)) {
        const are = await Promise.all(some.map(has));
        found.push(...some.filter((_, index) => are[index] !== true));
      }
      return found;
    };
    const missing = [
      ...(await lacking(blobs, async (digest) => await this.#blobs.has(name, digest))),
      ...(this.#allowSparseIndexes ? [] : await lacking(manifests, async (digest) => await this.has(name, digest))),
    ];
    if (missing.length > 0) throw without(missing);
  }

  async #subjectOf(digest: Digest): Promise<Digest | undefined> {
    const bytes = await this.#documents.read(blobKey(digest));
    return bytes && readableManifest(bytes)?.subject;
  }
}

function unknown(reference: Reference): RegistryError {
  const detail = reference.kind === "tag" ? `no tag ${reference.tag}` : `no manifest ${reference.digest}`;
  return new RegistryError("MANIFEST_UNKNOWN", { detail });
}

function without(missing: readonly Digest[]): RegistryError {
  const named = missing.slice(0, mostNamed).join(", ");
  const others = missing.length > mostNamed ? ` and ${missing.length - mostNamed} more` : "";
  return new RegistryError("MANIFEST_BLOB_UNKNOWN", { detail: `the repository has no ${named}${others}` });
}
