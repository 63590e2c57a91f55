import { v1RepositoryOf, v1TagOf } from "../../registry/bridge/names.ts";
import type { Problem } from "../../registry/bridge/problems.ts";
import { isOciTag, type OciName, type OciTag } from "../../registry/oci-names.ts";
import {
  digestOfLink,
  layerLinksPrefix,
  manifestLinkKey,
  manifestLinksPrefix,
  ociReferrersPrefix,
  ociTagIndexKey,
  ociTagKey,
  ociTagsPrefix,
} from "../../registry/paths.ts";
import type { BlobCopy } from "./blobs.ts";
import type { Tally } from "./counts.ts";
import { inLanes } from "./lanes.ts";
import type { ManifestCopy } from "./manifests.ts";
import { NotCopied } from "./not-copied.ts";
import type { CopyParts } from "./parts.ts";
import type { Side } from "./side.ts";
import { sideBySide, type Compared } from "./side-by-side.ts";
import type { CopySink } from "./sink.ts";

/** Names of a repository that are looked at side by side. */
const atOnce = 16;

/** Who is told what of a repository. */
export interface RepositoryOptions {
  /** Tags that the target has stay what they are there. */
  readonly keepTags: boolean;
  readonly signal: AbortSignal;
  readonly onProblem: (problem: Problem) => void;
  readonly onTag: () => void;
}

/**
 * Copies a repository of V2: blobs, then manifests with what refers to them, then tags. Each name follows what it names,
 * so that whoever pulls from the target meanwhile gets whole images, and whoever pushes to the source hurts nothing.
 */
export class OciRepositoryCopy {
  readonly #from: Side;
  readonly #to: Side;
  readonly #sink: CopySink;
  readonly #tally: Tally;
  readonly #blobs: BlobCopy;
  readonly #manifests: ManifestCopy;
  readonly #options: RepositoryOptions;

  constructor(
    parts: Omit<CopyParts, "verify"> & {
      readonly blobs: BlobCopy;
      readonly manifests: ManifestCopy;
      readonly options: RepositoryOptions;
    },
  ) {
    this.#from = parts.from;
    this.#to = parts.to;
    this.#sink = parts.sink;
    this.#tally = parts.tally;
    this.#blobs = parts.blobs;
    this.#manifests = parts.manifests;
    this.#options = parts.options;
  }

  /** Answers whether any of its tags has changed. Rejects as the storages do. */
  async copy(name: OciName): Promise<boolean> {
    this.#tally.repositories.v2++;
    await this.#each(layerLinksPrefix(name), async ({ key, isThere }) => {
      const digest = digestOfLink(key);
      if (!digest) return;
      await this.#told(key, "the blob", { repository: name, digest }, async () => {
        await this.#blobs.ensure(digest);
        if (!isThere) await this.#sink.document(key, digest);
      });
    });
    await this.#each(manifestLinksPrefix(name), async ({ key }) => {
      const digest = digestOfLink(key);
      if (!digest) return;
      await this.#told(key, `the manifest ${digest}`, { repository: name }, async () => {
        await this.#manifests.ensure(name, digest);
      });
    });
    await this.#each(ociReferrersPrefix(name), async ({ key, isThere }) => {
      const bytes = isThere ? undefined : await this.#from.documents.read(key);
      if (bytes) await this.#sink.document(key, bytes);
    });
    return await this.#tags(name);
  }

  async #tags(name: OciName): Promise<boolean> {
    let changed = false;
    await inLanes(this.#from.own.ociTags.list(name), { atOnce, signal: this.#options.signal }, async (tag) => {
      await this.#told(ociTagKey(name, tag), "the tag", { repository: name, tag }, async () => {
        if (await this.#tag(name, tag)) changed = true;
      });
      this.#options.onTag();
    });
    // What tags have named before.
    await this.#each(ociTagsPrefix(name), async ({ key, isThere }) => {
      const [tag = "", kind] = key.slice(ociTagsPrefix(name).length + 1).split("/");
      const digest = isThere || kind !== "index" ? undefined : digestOfLink(key);
      if (digest && isOciTag(tag) && (await this.#to.documents.has(manifestLinkKey(name, digest)))) {
        await this.#sink.document(key, digest);
      }
    });
    return changed;
  }

  /** Answers whether it has changed. */
  async #tag(name: OciName, tag: OciTag): Promise<boolean> {
    const digest = await this.#from.own.ociTags.digest(name, tag);
    if (!digest) throw new NotCopied("tag-dangling", "the tag names no manifest", {});
    const before = await this.#to.own.ociTags.digest(name, tag);
    const { tags } = this.#tally;
    if (before !== digest && this.#options.keepTags && (before ?? (await this.#imageInTarget(name, tag)))) {
      tags.kept++;
      return false;
    }
    await this.#manifests.ensure(name, digest);
    if (before === digest) {
      tags.there++;
      return false;
    }
    await this.#sink.document(ociTagIndexKey(name, tag, digest), digest);
    await this.#sink.document(ociTagKey(name, tag), digest);
    tags[before ? "replaced" : "copied"]++;
    return true;
  }

  /** What V1 has under the tag. */
  async #imageInTarget(name: OciName, tag: OciTag) {
    const repository = v1RepositoryOf(name);
    return repository && (await this.#to.own.tags.find(repository, v1TagOf(tag)));
  }

  async #each(prefix: string, work: (entry: Compared) => Promise<void>): Promise<void> {
    const entries = sideBySide(this.#from.driver, this.#to.driver, prefix);
    await inLanes(entries, { atOnce, signal: this.#options.signal }, work);
  }

  /** Tells why the name at `key` is not copied, unless it has been removed meanwhile. */
  async #told(key: string, what: string, place: Partial<Problem>, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof NotCopied)) throw error;
      if (await this.#from.documents.has(key)) this.#options.onProblem(error.of(what, place));
    }
  }
}
