import { LRUCache } from "lru-cache";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import type { Digest } from "../registry/digest.ts";
import { Documents, isObject } from "../registry/documents.ts";
import type { Turns } from "../registry/keyed-lock.ts";
import { isOciName, type OciName, type OciTag } from "../registry/oci-names.ts";
import { digestOfMirroredBlob, mirroredBlobKey, mirroredBlobsPrefix, mirroredTagKey } from "../registry/paths.ts";

/** What an upstream said of a tag, and when, in milliseconds since 1970. */
export interface TagRecord {
  readonly digest: string;
  readonly checked: number;
}

/** Content that came from an upstream and that nobody pushed. */
export interface BlobRecord {
  /** Our repositories that it was fetched for. */
  readonly repositories: readonly OciName[];
  readonly size: number;
  /** When it was last fetched or linked for an upstream's repository, in milliseconds since 1970. */
  readonly kept: number;
  /** When it was last asked for, about, in milliseconds since 1970. */
  readonly used: number;
}

/** How exact `used` is, in milliseconds: what is asked for often is not written down each time. */
export const usedWithin = 3_600_000;

/** What is known of where content comes from. It lies in the store: all servers on it know the same. */
export class MirrorRecords {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #turns: Turns;
  readonly #touched = new LRUCache<Digest, number>({ max: 100_000 });

  constructor(driver: StorageDriver, turns: Turns) {
    this.#driver = driver;
    this.#documents = new Documents(driver);
    this.#turns = turns;
  }

  async tag(name: OciName, tag: OciTag): Promise<TagRecord | undefined> {
    const value = await this.#documents.readJson(mirroredTagKey(name, tag));
    if (!isObject(value)) return undefined;
    const { digest, checked } = value;
    return typeof digest === "string" && typeof checked === "number" ? { digest, checked } : undefined;
  }

  async keepTag(name: OciName, tag: OciTag, digest: string): Promise<void> {
    await this.#documents.write(mirroredTagKey(name, tag), JSON.stringify({ digest, checked: Date.now() }));
  }

  /** From now on the tag is what was pushed here. */
  async forgetTag(name: OciName, tag: OciTag): Promise<void> {
    await this.#documents.delete(mirroredTagKey(name, tag));
  }

  async blob(digest: Digest): Promise<BlobRecord | undefined> {
    return parseBlobRecord(await this.#documents.readJson(mirroredBlobKey(digest)));
  }

  /**
   * Content has come for a repository. What was in store `before` stays somebody's own, unless it came from an upstream
   * too.
   */
  async keepBlob(digest: Digest, name: OciName, size: number, before: boolean): Promise<void> {
    await this.#turns.run(turnOf(digest), async () => {
      const record = await this.blob(digest);
      if (before && !record) return;
      const repositories = [...new Set([...(record?.repositories ?? []), name])];
      await this.#write(digest, { repositories, size, kept: Date.now(), used: Date.now() });
    });
  }

  /** Somebody pushed it, or something that needs it: it is not an upstream's alone any more. */
  async forgetBlob(digest: Digest): Promise<void> {
    await this.#turns.run(turnOf(digest), async () => {
      await this.#documents.delete(mirroredBlobKey(digest));
    });
  }

  /** It is asked for. Written down once in an hour, beside the answer; a storage that fails is told of elsewhere. */
  touchLater(digest: Digest): void {
    const now = Date.now();
    if (now - (this.#touched.get(digest) ?? 0) < usedWithin) return;
    this.#touched.set(digest, now);
    this.#touch(digest, now).catch(() => this.#touched.delete(digest));
  }

  async #touch(digest: Digest, now: number): Promise<void> {
    await this.#turns.run(turnOf(digest), async () => {
      const record = await this.blob(digest);
      if (record && now - record.used >= usedWithin) await this.#write(digest, { ...record, used: now });
    });
  }

  /** All of them, in no order. */
  async *all(): AsyncGenerator<BlobRecord & { readonly digest: Digest }> {
    for await (const { key } of this.#driver.list(mirroredBlobsPrefix)) {
      const digest = digestOfMirroredBlob(key);
      const record = digest && (await this.blob(digest));
      if (digest && record) yield { ...record, digest };
    }
  }

  /** Does `work` with the record while nobody changes it. */
  async holding(digest: Digest, work: (record: BlobRecord | undefined) => Promise<void>): Promise<void> {
    await this.#turns.run(turnOf(digest), async () => {
      await work(await this.blob(digest));
    });
  }

  async #write(digest: Digest, record: BlobRecord): Promise<void> {
    await this.#documents.write(mirroredBlobKey(digest), JSON.stringify(record));
  }
}

function turnOf(digest: Digest): string {
  return `origin of ${digest}`;
}

function parseBlobRecord(value: unknown): BlobRecord | undefined {
  if (!isObject(value)) return undefined;
  const { repositories, size, kept, used } = value;
  if (!Array.isArray(repositories) || typeof size !== "number") return undefined;
  if (typeof kept !== "number" || typeof used !== "number") return undefined;
  return { repositories: repositories.filter((name) => typeof name === "string").filter(isOciName), size, kept, used };
}
