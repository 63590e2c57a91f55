import type { Catalog } from "./catalog.ts";
import type { Blobs } from "./blobs.ts";
import { digestAs, digestParts, Hashing, isDigest, type Digest } from "./digest.ts";
import { isObject, parseJson, type Documents } from "./documents.ts";
import { groups } from "./groups.ts";
import { parseStoredManifest } from "./manifest.ts";
import type { OciName, OciTag } from "./oci-names.ts";
import type { OciTags } from "./oci-tags.ts";
import { blobKey, layerLinkKey, manifestLinkKey } from "./paths.ts";
import { problem, type Problem, type ProblemKind } from "./bridge/problems.ts";

/** What a check of V2's repositories has found. */
export interface OciCounts {
  /** Those with tags. */
  readonly repositories: number;
  readonly tags: number;
  readonly sound: number;
  readonly broken: number;
}

/** How V2's repositories are checked, and who is told. */
export interface OciCheckOptions {
  /** Whether blobs are read and hashed too. */
  readonly verify: boolean;
  readonly signal: AbortSignal;
  readonly onProblem: (problem: Problem) => void;
  readonly onPlan: (plan: { readonly bytes: number; readonly tags: number }) => void;
  readonly onStep: (step: { readonly bytes?: number; readonly tags?: number }) => void;
}

/** Tags that are looked at side by side. */
const atOnce = 16;
/** Indexes that name indexes are followed so deep. */
const deepest = 8;

/** What is wrong with content that a tag needs. */
interface Fault {
  readonly kind: ProblemKind;
  readonly digest?: Digest;
  readonly message: string;
}

interface Reference {
  readonly digest: Digest;
  readonly size: number | undefined;
}

/**
 * Looks whether every tag of V2 can be pulled: its manifest is there and parses, and all that it needs is in the
 * repository with the size that it says. Changes nothing.
 */
export class OciCheck {
  readonly #catalog: Catalog;
  readonly #tags: OciTags;
  readonly #documents: Documents;
  readonly #blobs: Blobs;
  /** Blobs that were hashed, and whether they are what their digests say. */
  readonly #hashed = new Map<Digest, Promise<boolean>>();

  constructor(parts: {
    /** V2's own. */
    readonly catalog: Catalog;
    readonly ociTags: OciTags;
    readonly documents: Documents;
    readonly blobs: Blobs;
  }) {
    this.#catalog = parts.catalog;
    this.#tags = parts.ociTags;
    this.#documents = parts.documents;
    this.#blobs = parts.blobs;
  }

  /** Rejects as the storage does, or with the signal's reason. */
  async run(options: OciCheckOptions): Promise<OciCounts> {
    options.onPlan(await this.#plan(options));
    const counts = { repositories: 0, tags: 0, sound: 0, broken: 0 };
    for await (const repository of this.#catalog.list()) {
      let hasTags = false;
      for await (const tags of groups(this.#tags.list(repository), atOnce)) {
        hasTags = true;
        options.signal.throwIfAborted();
        const checked = await Promise.all(tags.map(async (tag) => await this.#tag(repository, tag, options)));
        counts.tags += tags.length;
        for (const [index, faults] of checked.entries()) {
          counts[faults.length === 0 ? "sound" : "broken"]++;
          for (const { kind, digest, message } of faults) {
            const place = {
              repository,
              ...(tags[index] !== undefined && { tag: tags[index] }),
              ...(digest && { digest }),
            };
            options.onProblem(problem(kind, `${message}: clients can't pull the tag until it is pushed again`, place));
          }
        }
        options.onStep({ tags: tags.length });
      }
      if (hasTags) counts.repositories++;
    }
    return counts;
  }

  async #plan({ verify, signal }: OciCheckOptions) {
    let [tags, bytes] = [0, 0];
    const seen = new Set<Digest>();
    for await (const repository of this.#catalog.list()) {
      for await (const group of groups(this.#tags.list(repository), atOnce)) {
        signal.throwIfAborted();
        tags += group.length;
        if (!verify) continue;
        for (const tag of group) for (const size of await this.#sizes(repository, tag, seen)) bytes += size;
      }
    }
    return { tags, bytes };
  }

  async #sizes(repository: OciName, tag: OciTag, seen: Set<Digest>): Promise<readonly number[]> {
    const digest = await this.#tags.digest(repository, tag);
    const needed = digest ? await this.#needed(digest, deepest) : [];
    const fresh = needed.filter((each) => !seen.has(each.digest));
    for (const each of fresh) seen.add(each.digest);
    return await Promise.all(fresh.map(async (each) => (await this.#blobs.size(each.digest)) ?? 0));
  }

  async #needed(digest: Digest, depth: number): Promise<readonly Reference[]> {
    const bytes = await this.#documents.read(blobKey(digest));
    const { manifests, blobs } = (bytes && parsed(bytes)) ?? { manifests: [], blobs: [] };
    const below =
      depth === 0 ? [] : await Promise.all(manifests.map(async (each) => this.#needed(each.digest, depth - 1)));
    return [...blobs, ...below.flat()];
  }

  async #tag(repository: OciName, tag: OciTag, options: OciCheckOptions): Promise<readonly Fault[]> {
    const digest = await this.#tags.digest(repository, tag);
    if (digest) return await this.#manifest(repository, { digest, size: undefined }, options, deepest);
    return [{ kind: "tag-dangling", message: "the tag names no manifest" }];
  }

  async #manifest(
    repository: OciName,
    { digest, size }: Reference,
    options: OciCheckOptions,
    depth: number,
  ): Promise<readonly Fault[]> {
    const bytes = await this.#documents.read(blobKey(digest));
    if (!bytes || !(await this.#documents.has(manifestLinkKey(repository, digest)))) {
      return [{ kind: "manifest-missing", digest, message: `the manifest ${digest} is missing` }];
    }
    const references = parsed(bytes);
    const isItself = digestAs(digestParts(digest).algorithm, bytes) === digest;
    if (!references || !isItself || (size !== undefined && size !== bytes.length)) {
      return [{ kind: "manifest-damaged", digest, message: `the manifest ${digest} is damaged` }];
    }
    const faults: Fault[] = [];
    for (const child of references.manifests) {
      if (depth > 0) faults.push(...(await this.#manifest(repository, child, options, depth - 1)));
    }
    for (const blob of references.blobs) faults.push(...(await this.#blob(repository, blob, options)));
    return faults;
  }

  async #blob(repository: OciName, { digest, size }: Reference, options: OciCheckOptions): Promise<readonly Fault[]> {
    const [actual, isLinked] = await Promise.all([
      this.#blobs.size(digest),
      this.#documents.has(layerLinkKey(repository, digest)),
    ]);
    if (actual === undefined || !isLinked) {
      return [{ kind: "blob-missing", digest, message: `the blob ${digest} is missing` }];
    }
    if (size !== undefined && actual !== size) {
      return [{ kind: "blob-damaged", digest, message: `the blob ${digest} has ${actual} bytes instead of ${size}` }];
    }
    if (!options.verify || (await this.#isRight(digest, options))) return [];
    return [{ kind: "blob-damaged", digest, message: `the content of the blob ${digest} has another digest` }];
  }

  async #isRight(digest: Digest, options: OciCheckOptions): Promise<boolean> {
    const known = this.#hashed.get(digest) ?? this.#hash(digest, options);
    this.#hashed.set(digest, known);
    return await known;
  }

  async #hash(digest: Digest, { signal, onStep }: OciCheckOptions): Promise<boolean> {
    const hashing = new Hashing(digestParts(digest).algorithm);
    for await (const chunk of hashing.through((await this.#blobs.open(digest)) as AsyncIterable<Uint8Array>)) {
      signal.throwIfAborted();
      onStep({ bytes: chunk.length });
    }
    return hashing.digest() === digest;
  }
}

/** What a manifest needs, with the sizes that it says; undefined for what is no manifest. */
function parsed(
  bytes: Buffer,
): { readonly blobs: readonly Reference[]; readonly manifests: readonly Reference[] } | undefined {
  try {
    const { blobs, manifests } = parseStoredManifest(bytes);
    const sizes = sizesIn(parseJson(bytes));
    const reference = (digest: Digest): Reference => ({ digest, size: sizes.get(digest) });
    return { blobs: [...new Set(blobs)].map(reference), manifests: [...new Set(manifests)].map(reference) };
  } catch {
    return undefined;
  }
}

function sizesIn(manifest: unknown): ReadonlyMap<Digest, number> {
  const lists = isObject(manifest)
    ? [manifest["config"], manifest["layers"], manifest["blobs"], manifest["manifests"]]
    : [];
  const sizes = new Map<Digest, number>();
  for (const descriptor of lists.flat()) {
    if (!isObject(descriptor)) continue;
    const { digest, size } = descriptor;
    if (typeof digest === "string" && isDigest(digest) && typeof size === "number") sizes.set(digest, size);
  }
  return sizes;
}
