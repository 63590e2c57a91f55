import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import { DriverError } from "../../drivers/storage/errors.ts";
import { RegistryError } from "../errors.ts";
import type { Log } from "../log.ts";
import { SharedRuns } from "../registry/bridge/shared-runs.ts";
import { digestAs, digestParts, type Digest } from "../registry/digest.ts";
import type { Turns } from "../registry/keyed-lock.ts";
import { parseManifest, parseStoredManifest } from "../registry/manifest.ts";
import type { ManifestPush, Manifests, ManifestStore, StoredManifest, Warn } from "../registry/manifests.ts";
import type { OciName, OciTag, Reference } from "../registry/oci-names.ts";
import type { ManifestTags } from "../registry/manifests.ts";
import type { MirroredBlobs } from "./blobs.ts";
import { told, UpstreamFailure } from "./failure.ts";
import type { MirrorMeter } from "./meter.ts";
import type { MirrorRecords } from "./records.ts";
import type { Mirrored, Upstreams } from "./upstreams.ts";

/** What mirrored manifests are served from. */
export interface MirroredManifestParts {
  readonly own: Manifests;
  readonly tags: ManifestTags;
  readonly blobs: MirroredBlobs;
  readonly upstreams: Upstreams;
  readonly records: MirrorRecords;
  readonly turns: Turns;
  readonly log: Log;
  readonly meter: MirrorMeter;
}

/** A tag as it is to be answered: the manifest, and why it may be another one by now. */
interface Resolved {
  readonly digest: Digest;
  /** Where the storage did not take it. */
  readonly unkept?: StoredManifest | undefined;
  readonly warning?: string;
}

/** Who has something in store does not wait longer than this for an upstream, in milliseconds. */
const shortPatience = 5_000;
/** Plain answers are kept for about so long, in milliseconds: no longer than a tag is believed. */
const keptAnswers = 10_000;
const atOnce = 64;

/**
 * The manifests of repositories, those of upstreams among them. A digest in store is never asked for; a tag is believed
 * for as long as the configuration says, and then looked at again. What was pushed here counts before what upstreams have.
 */
export class MirroredManifests implements ManifestStore {
  readonly #parts: MirroredManifestParts;
  readonly #runs = new SharedRuns<Resolved>({ atOnce });
  readonly #fetches = new SharedRuns<StoredManifest>({ atOnce });

  constructor(parts: MirroredManifestParts) {
    this.#parts = parts;
  }

  /**
   * Rejects with MANIFEST_UNKNOWN when neither we nor the upstream have it, and with MIRROR_SOURCE_… when that can't be
   * told. `warn` is told why a tag may be out of date.
   */
  async get(name: OciName, reference: Reference, watch: Watch = invalidWatch, warn?: Warn): Promise<StoredManifest> {
    const { own, upstreams } = this.#parts;
    const from = upstreams.find(name);
    if (!from) return await own.get(name, reference, watch);
    try {
      if (reference.kind === "digest") return await this.#byDigest(name, reference.digest, from, watch);
      return await this.#byTag(name, reference.tag, from, watch, warn);
    } catch (error) {
      throw told(error, "MANIFEST_UNKNOWN");
    }
  }

  /**
   * As in a registry of its own. What the manifest needs and only the upstream has, because it told the client so, is
   * fetched before; what is pushed here is nobody's but ours from then on.
   */
  async put(name: OciName, push: ManifestPush): ReturnType<Manifests["put"]> {
    const { own, upstreams, records, turns } = this.#parts;
    const from = upstreams.find(name);
    const references = parseManifest(push.bytes, push.contentType);
    if (from) await this.#bringAll(name, references, from);
    for (const digest of [...references.blobs, ...references.manifests]) await records.forgetBlob(digest);
    return await turns.run(turnOf(name), async () => {
      for (const tag of from ? push.tags : []) await records.forgetTag(name, tag);
      const put = await own.put(name, push);
      await records.forgetBlob(put.digest);
      return put;
    });
  }

  async delete(name: OciName, digest: Digest): Promise<void> {
    await this.#parts.own.delete(name, digest);
  }

  async #bringAll(name: OciName, references: ReturnType<typeof parseManifest>, from: Mirrored): Promise<void> {
    const { own, blobs } = this.#parts;
    for (const digest of references.blobs) await blobs.bring(name, digest).catch(nothing);
    for (const digest of references.manifests) {
      if (!(await own.has(name, digest))) await this.#byDigest(name, digest, from, invalidWatch).catch(nothing);
    }
  }

  async #byDigest(name: OciName, digest: Digest, from: Mirrored, watch: Watch): Promise<StoredManifest> {
    const reference = { kind: "digest", digest } as const;
    const known = await this.#parts.own.get(name, reference, watch).catch(unlessKnown);
    if (known) {
      this.#parts.records.touchLater(digest);
      return known;
    }
    watch.close();
    return await this.#once(this.#fetches, `${name}@${digest}`, async () => {
      // Another process may have fetched it while this one waited.
      const fetched = await this.#parts.own.get(name, reference).catch(unlessKnown);
      if (fetched) return fetched;
      const { bytes, contentType } = await this.#fetch(from, digest, digest);
      const adopted = { digest, bytes, contentType, tags: [] };
      return (await this.#ifKept(name, async () => await this.#adopt(name, adopted))) ?? unkept(adopted);
    });
  }

  async #byTag(
    name: OciName,
    tag: OciTag,
    from: Mirrored,
    watch: Watch,
    warn: Warn | undefined,
  ): Promise<StoredManifest> {
    const { own, tags, records } = this.#parts;
    const [current, record] = await Promise.all([tags.digest(name, tag, watch), records.tag(name, tag)]);
    if (current !== undefined && record?.digest !== current) return await own.get(name, { kind: "tag", tag }, watch);
    const left = record === undefined ? 0 : record.checked + from.place.tagsLifetime - Date.now();
    const isCurrent = current !== undefined && left > 0;
    if (!isCurrent || left < keptAnswers) watch.close();
    const asked = Date.now();
    const { digest, warning, unkept } = isCurrent
      ? { digest: current, warning: undefined, unkept: undefined }
      : await this.#once(this.#runs, `${name}:${tag}`, async () => await this.#resolve(name, tag, from, asked));
    if (warning !== undefined) {
      this.#parts.meter.stale(from.upstream.who);
      warn?.(warning);
    }
    return unkept ?? (await this.#byDigest(name, digest, from, watch));
  }

  /** Whoever pulls need not suffer from a storage that is full: what it does not take is fetched again the next time. */
  async #ifKept<T>(name: OciName, keep: () => Promise<T>): Promise<T | undefined> {
    try {
      return await keep();
    } catch (err) {
      if (!(err instanceof DriverError)) throw err;
      this.#parts.log.error({ err, repository: name }, "A manifest of the mirrored registry could not be kept");
      return undefined;
    }
  }

  /** Does it once for all who want it meanwhile, in this process and the others of the server. */
  async #once<T>(runs: SharedRuns<T>, what: string, work: () => Promise<T>): Promise<T> {
    return await runs.run(what, async () => await this.#parts.turns.run(`fetching ${what}`, work));
  }

  /**
   * What the tag names upstream; what it last did, when the upstream does not tell. Another process may have asked since
   * this one was `asked`, in milliseconds since 1970.
   */
  async #resolve(name: OciName, tag: OciTag, from: Mirrored, asked: number): Promise<Resolved> {
    const { upstream } = from;
    const { tags, records } = this.#parts;
    const [current, record] = await Promise.all([tags.digest(name, tag), records.tag(name, tag)]);
    if (current !== undefined && (record?.digest !== current || record.checked >= asked)) return { digest: current };
    try {
      if (current === undefined) return await this.#fetchTag(name, tag, current, from);
      if (upstream.pace.isSuspect) throw new UpstreamFailure("unreachable", `${upstream.who} has just failed`);
      const said = await upstream.digest(from.remoteName, tag, current, { patience: shortPatience });
      if (said === current)
        await this.#ifKept(name, async () => { await records.keepTag(name, tag, current); }); // prettier-ignore
      else if (said === undefined) await this.#remove(name, tag, current);
      return said === current ? { digest: current } : await this.#fetchTag(name, tag, current, from);
    } catch (error) {
      if (!(error instanceof UpstreamFailure) || current === undefined) throw error;
      this.#parts.log.warn(
        { upstream: upstream.who, repository: name, tag, reason: error.message },
        "A tag is served as it last was: the mirrored registry does not tell what it is now",
      );
      return { digest: current, warning: warningOf(error) };
    }
  }

  /** The digest of the manifest, which is in store then and has the tag. Rejects with MANIFEST_UNKNOWN. */
  async #fetchTag(name: OciName, tag: OciTag, before: Digest | undefined, from: Mirrored): Promise<Resolved> {
    const { tags, records, turns } = this.#parts;
    const { digest, bytes, contentType } = await this.#fetch(from, tag, undefined);
    return await turns.run(turnOf(name), async () => {
      const now = await tags.digest(name, tag);
      // Somebody has pushed it here meanwhile.
      if (now !== before && now !== undefined) return { digest: now };
      const adopted = { digest, bytes, contentType, tags: [tag] };
      const kept = await this.#ifKept(name, async () => {
        const manifest = await this.#adopt(name, adopted);
        await records.keepTag(name, tag, digest);
        return manifest;
      });
      return { digest, unkept: kept ? undefined : unkept(adopted) };
    });
  }

  /** It is no more upstream: unless somebody has pushed it here meanwhile, we have it no more either. */
  async #remove(name: OciName, tag: OciTag, current: Digest): Promise<never> {
    const { tags, records, turns } = this.#parts;
    await turns.run(turnOf(name), async () => {
      if ((await tags.digest(name, tag)) === current) await tags.remove(name, tag);
      await records.forgetTag(name, tag);
    });
    throw unknown(`no tag ${tag}`);
  }

  /** A manifest whose bytes are what was asked for, or what the upstream says that they are. */
  async #fetch(
    { upstream, remoteName }: Mirrored,
    reference: Digest | OciTag,
    wanted: Digest | undefined,
  ): Promise<{ readonly digest: Digest; readonly bytes: Buffer; readonly contentType: string | undefined }> {
    const found = await upstream.manifest(remoteName, reference);
    if (!found) throw unknown(wanted ?? `no tag ${reference}`);
    const expected = wanted ?? found.digest;
    const digest = digestAs(expected === undefined ? "sha256" : digestParts(expected).algorithm, found.bytes);
    if (expected !== undefined && digest !== expected) {
      throw new UpstreamFailure("broken", `${upstream.who} sends a manifest that is not what its digest says`);
    }
    return { digest, bytes: found.bytes, contentType: found.mediaType };
  }

  async #adopt(name: OciName, adopted: Parameters<Manifests["adopt"]>[1]): Promise<StoredManifest> {
    const { own, records } = this.#parts;
    const before = await own.isKept(adopted.digest);
    const manifest = await own.adopt(name, adopted).catch((error: unknown) => {
      if (!(error instanceof RegistryError) || error.code !== "MANIFEST_INVALID") throw error;
      throw unknown(`what the mirrored registry has is of no use here: ${error.detail ?? error.message}`, error);
    });
    await records.keepBlob(adopted.digest, name, adopted.bytes.length, before);
    return manifest;
  }
}

function unkept({ digest, bytes }: Pick<StoredManifest, "digest" | "bytes">): StoredManifest {
  return { digest, bytes, mediaType: parseStoredManifest(bytes).mediaType };
}

function turnOf(name: OciName): string {
  return `mirror of ${name}`;
}

/** As RFC 7234, 5.5.2, has it. */
export function warningOf(failure: UpstreamFailure): string {
  return `111 registryctl "${failure.message.replace(/[^\x20-\x7e]|["\\]/g, "")}"`;
}

function unknown(detail: string, cause?: unknown): RegistryError {
  return new RegistryError("MANIFEST_UNKNOWN", { detail, cause });
}

function unlessKnown(error: unknown): undefined {
  if (error instanceof RegistryError && error.code === "MANIFEST_UNKNOWN") return undefined;
  throw error;
}

/** What is missing then is told by the push itself. */
function nothing(): undefined {
  return undefined;
}
