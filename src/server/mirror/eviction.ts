import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { isNotFound } from "../../drivers/storage/errors.ts";
import { RegistryError } from "../errors.ts";
import type { Log } from "../log.ts";
import { isDigest, type Digest } from "../registry/digest.ts";
import { isObject, type Documents } from "../registry/documents.ts";
import { parseStoredManifest } from "../registry/manifest.ts";
import type { Manifests } from "../registry/manifests.ts";
import type { OciName } from "../registry/oci-names.ts";
import {
  blobKey,
  digestOfLink,
  imageRecordsPrefix,
  isLayerRecord,
  layerFactsKey,
  layerLinkKey,
  manifestLinkKey,
  mirroredBlobKey,
  ociRepositoriesPrefix,
} from "../registry/paths.ts";
import type { MirrorMeter } from "./meter.ts";
import { usedWithin, type BlobRecord, type MirrorRecords } from "./records.ts";

/** What may stay of what came from upstreams; without either, everything does. */
export interface EvictionLimits {
  /** Milliseconds since somebody asked for it. */
  readonly maxAge?: number | undefined;
  /** All of it together, in bytes. */
  readonly maxSize?: number | undefined;
}

/** What eviction works with. */
export interface EvictionParts {
  readonly driver: StorageDriver;
  readonly documents: Documents;
  readonly manifests: Pick<Manifests, "delete">;
  readonly records: MirrorRecords;
  readonly limits: EvictionLimits;
  readonly log: Log;
  readonly meter: MirrorMeter;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

type Candidate = BlobRecord & { readonly digest: Digest };

/** Of what was used so recently somebody may be in the middle of a pull, in milliseconds. */
const grace = 2 * usedWithin;
/** So many at once; the next run goes on. */
const mostCandidates = 10_000;
/** A link may be so much younger than the record that says that an upstream's content was linked, in milliseconds. */
const clockDifference = 5_000;

/**
 * Removes what came from upstreams and was not asked for for long, or is too much: what was used longest ago goes first.
 * Whatever anybody pushed, or something that was pushed needs, stays: the store is looked through for that each time.
 * Answers how many blobs and manifests went. What is gone is fetched again when somebody asks for it.
 */
export async function evict(parts: EvictionParts): Promise<number> {
  const { now = Date.now } = parts;
  const candidates = new Map((await chosen(parts, now())).map((each) => [each.digest, each]));
  if (candidates.size === 0) return 0;
  for (const digest of await needed(parts, candidates)) candidates.delete(digest);
  let count = 0;
  let bytes = 0;
  for (const candidate of candidates.values()) {
    if (!(await removed(parts, candidate))) continue;
    count += 1;
    bytes += candidate.size;
  }
  parts.meter.evicted(count, bytes);
  parts.log.info({ count, bytes }, "Removed what was mirrored and not asked for any more");
  return count;
}

async function chosen({ records, limits }: EvictionParts, now: number): Promise<readonly Candidate[]> {
  const { maxAge = Infinity, maxSize = Infinity } = limits;
  const all: Candidate[] = [];
  let total = 0;
  for await (const candidate of records.all()) {
    all.push(candidate);
    total += candidate.size;
  }
  all.sort((a, b) => a.used - b.used);
  const taken: Candidate[] = [];
  for (const candidate of all) {
    const age = now - candidate.used;
    if (taken.length === mostCandidates || age < grace) break;
    if (age <= maxAge && total <= maxSize) break;
    taken.push(candidate);
    total -= candidate.size;
  }
  return taken;
}

/** What somebody else has a name for, or needs for a manifest of his own, and what images of V1 consist of. */
async function needed(
  { driver, documents, records }: EvictionParts,
  candidates: ReadonlyMap<Digest, Candidate>,
): Promise<ReadonlySet<Digest>> {
  const found = new Set<Digest>();
  const repositories = new Set([...candidates.values()].flatMap((each) => each.repositories));
  for await (const { key, modified } of driver.list(ociRepositoriesPrefix)) {
    const digest = digestOfLink(key);
    if (digest === undefined) continue;
    const candidate = candidates.get(digest);
    if (candidate && !isMirrors(candidate, key, modified)) found.add(digest);
    const name = ownerOf(key, digest, repositories);
    if (name === undefined || (candidate && isMirrors(candidate, key, modified))) continue;
    const record = await records.blob(digest);
    if (record && isMirrors({ ...record, digest }, key, modified)) continue;
    for (const each of [digest, ...referencesOf(await documents.read(blobKey(digest)))]) found.add(each);
  }
  for await (const { key } of driver.list(imageRecordsPrefix)) {
    const record = isLayerRecord(key) ? await documents.readJson(key) : undefined;
    const digest = isObject(record) ? record["digest"] : undefined;
    if (typeof digest === "string" && isDigest(digest)) found.add(digest);
  }
  return found;
}

/** What a manifest needs; nothing for one that is broken. */
function referencesOf(bytes: Buffer | undefined): readonly Digest[] {
  try {
    const { blobs, manifests } = parseStoredManifest(bytes ?? Buffer.alloc(0));
    return [...blobs, ...manifests];
  } catch (error) {
    if (error instanceof RegistryError) return [];
    throw error;
  }
}

/** Whether the mirror made the link, and nobody has made it again since. */
function isMirrors({ repositories, kept, digest }: Candidate, key: string, modified: Date): boolean {
  if (modified.getTime() > kept + clockDifference) return false;
  return repositories.some((name) => isLinkOf(name, digest, key));
}

function isLinkOf(name: OciName, digest: Digest, key: string): boolean {
  if (key === layerLinkKey(name, digest) || key === manifestLinkKey(name, digest)) return true;
  return key.startsWith(tagsOf(name)) && key.includes("/_manifests/tags/");
}

function tagsOf(name: OciName): string {
  return `${ociRepositoriesPrefix}/${name}/_manifests/`;
}

/** The repository among these whose manifest the key is a link of. */
function ownerOf(key: string, digest: Digest, repositories: ReadonlySet<OciName>): OciName | undefined {
  const [name] = key.slice(ociRepositoriesPrefix.length + 1).split("/_manifests/revisions/");
  return [...repositories].find((each) => each === name && key === manifestLinkKey(each, digest));
}

/** Names first, content last. */
async function removed(parts: EvictionParts, { digest, used }: Candidate): Promise<boolean> {
  const { driver, documents, manifests, records } = parts;
  // V1 clients have it, made out of images of V2, or it is one of what they pushed.
  if (await documents.has(layerFactsKey(digest))) return false;
  let done = false;
  await records.holding(digest, async (record) => {
    if (record?.used !== used) return;
    for (const name of record.repositories) {
      await manifests.delete(name, digest).catch(unlessUnknown);
      await driver.delete(layerLinkKey(name, digest));
    }
    await driver.delete(blobKey(digest));
    await driver.delete(mirroredBlobKey(digest));
    done = true;
  });
  return done;
}

function unlessUnknown(error: unknown): void {
  const isUnknown = error instanceof RegistryError && error.code === "MANIFEST_UNKNOWN";
  if (!isUnknown && !isNotFound(error)) throw error;
}

/** Milliseconds from one look to the next. */
const interval = 3_600_000;

/** Evicts again and again, beside other work. */
export function keepEvicting(parts: EvictionParts): { close(): Promise<void> } {
  let running: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    running = running
      .then(async () => {
        await evict(parts);
      })
      .catch((err: unknown) => {
        parts.log.error({ err }, "What is mirrored could not be made less");
      });
  }, interval).unref();
  return {
    close: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
