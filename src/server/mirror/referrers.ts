import { LRUCache } from "lru-cache";
import { RegistryError } from "../errors.ts";
import type { Log } from "../log.ts";
import { merged } from "../registry/merged.ts";
import { digestParts, type Digest } from "../registry/digest.ts";
import type { Referrer } from "../registry/manifest.ts";
import type { ManifestStore, Warn } from "../registry/manifests.ts";
import { isOciTag, type OciName } from "../registry/oci-names.ts";
import type { ReferrersQuery, ReferrerStore } from "../registry/referrers.ts";
import { told, UpstreamFailure } from "./failure.ts";
import { warningOf } from "./manifests.ts";
import type { MirrorMeter } from "./meter.ts";
import { referrersIn } from "./upstream.ts";
import type { Mirrored, Upstreams } from "./upstreams.ts";

/** What mirrored referrers are listed from. */
export interface MirroredReferrerParts {
  readonly own: ReferrerStore;
  readonly manifests: Pick<ManifestStore, "get">;
  readonly upstreams: Upstreams;
  readonly log: Log;
  readonly meter: MirrorMeter;
}

/** A list is believed at most so long, and at least, in milliseconds. */
const believed = 60_000;
const shortest = 1_000;

/** Signatures and the like of mirrored images: those that upstreams tell of, by their API or an older client's tag, and ours. */
export class MirroredReferrers implements ReferrerStore {
  readonly #parts: MirroredReferrerParts;
  readonly #lists = new LRUCache<string, readonly Referrer[]>({ max: 1_000, maxSize: 100_000, sizeCalculation: (list) => list.length + 1 }); // prettier-ignore

  constructor(parts: MirroredReferrerParts) {
    this.#parts = parts;
  }

  /**
   * In the order of their digests. An upstream that does not answer is left out, and `warn` told, unless nothing is here:
   * that there are none must not be said of an image that may have some. Rejects with MIRROR_SOURCE_… then.
   */
  async *list(name: OciName, subject: Digest, query: ReferrersQuery = {}, warn?: Warn): AsyncGenerator<Referrer> {
    const { own, upstreams, log, meter } = this.#parts;
    const from = upstreams.find(name);
    const remote = from ? await this.#listOf(name, subject, from).catch(unlessUpstreams) : [];
    let count = 0;
    const wanted = isFailure(remote) ? [] : remote.filter(fits(query));
    for await (const each of merged(own.list(name, subject, query), wanted, ({ digest }) => digest)) {
      if (count === 0 && isFailure(remote)) {
        log.warn({ upstream: from?.upstream.who, repository: name, reason: remote.message }, "Referrers are listed without those of the mirrored registry"); // prettier-ignore
        meter.stale(from?.upstream.who ?? "");
        warn?.(warningOf(remote));
      }
      count += 1;
      yield each;
    }
    if (count === 0 && isFailure(remote) && remote.kind !== "refused") throw told(remote, "MANIFEST_UNKNOWN");
  }

  async #listOf(name: OciName, subject: Digest, from: Mirrored): Promise<readonly Referrer[]> {
    const key = `${name}@${subject}`;
    const known = this.#lists.get(key);
    if (known) return known;
    const { upstream, remoteName, place } = from;
    const found = (await upstream.referrers(remoteName, subject)) ?? (await this.#tagged(name, subject));
    const list = [...new Map(found.map((each) => [each.digest, each])).values()].sort(byDigest);
    this.#lists.set(key, list, { ttl: Math.max(shortest, Math.min(believed, place.tagsLifetime)) });
    return list;
  }

  /** What is listed where registries don't know of referrers: in an index under a tag that is made of the digest. */
  async #tagged(name: OciName, subject: Digest): Promise<readonly Referrer[]> {
    const { algorithm, hex } = digestParts(subject);
    const tag = `${algorithm}-${hex.slice(0, 64)}`;
    if (!isOciTag(tag)) return [];
    try {
      return referrersIn((await this.#parts.manifests.get(name, { kind: "tag", tag })).bytes);
    } catch (error) {
      if (error instanceof RegistryError && error.cause instanceof UpstreamFailure) throw error.cause;
      if (error instanceof RegistryError && error.code === "MANIFEST_UNKNOWN") return [];
      throw error;
    }
  }
}

function fits({ artifactType, after }: ReferrersQuery): (referrer: Referrer) => boolean {
  return (each) =>
    (artifactType === undefined || each.artifactType === artifactType) && (after === undefined || each.digest > after);
}

function byDigest(a: Referrer, b: Referrer): number {
  return a.digest < b.digest ? -1 : 1;
}

function isFailure(value: readonly Referrer[] | UpstreamFailure): value is UpstreamFailure {
  return value instanceof UpstreamFailure;
}

function unlessUpstreams(error: unknown): UpstreamFailure {
  if (error instanceof UpstreamFailure) return error;
  throw error;
}
