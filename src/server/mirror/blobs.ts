import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import { RegistryError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Blobs } from "../registry/blobs.ts";
import { isDigest, verified, type Digest } from "../registry/digest.ts";
import type { BlobStore, LinkedBlob, LinkedBlobs } from "../registry/linked-blobs.ts";
import type { OciName } from "../registry/oci-names.ts";
import { blobKey } from "../registry/paths.ts";
import { fetchBlob, sizeOf, type Arriving, type BlobFetch } from "./blob-fetch.ts";
import type { Answer } from "./connection.ts";
import { told, UpstreamFailure } from "./failure.ts";
import type { MirrorMeter } from "./meter.ts";
import { keptAnswer, PeerDesk, type Peers } from "./peers.ts";
import type { MirrorRecords } from "./records.ts";
import type { Mirrored, Upstreams } from "./upstreams.ts";

/** What mirrored blobs are served from. */
export interface MirroredBlobParts {
  readonly own: LinkedBlobs;
  readonly blobs: Blobs;
  readonly driver: StorageDriver;
  readonly upstreams: Upstreams;
  readonly records: MirrorRecords;
  /** Where bytes lie until they are kept. */
  readonly folder: string;
  readonly log: Log;
  readonly meter: MirrorMeter;
  /** Other processes that mirror the same. */
  readonly peers: Peers | undefined;
}

interface Running extends BlobFetch {
  readonly name: OciName;
}

/**
 * The blobs of repositories, those of upstreams among them: what is in store is sent from there, all else as it comes, and
 * kept. Of each blob one fetch runs, however many want it, in whatever process of the server.
 */
export class MirroredBlobs implements BlobStore {
  readonly #parts: MirroredBlobParts;
  readonly #fetches = new Map<Digest, Running>();
  readonly #closing = new AbortController();
  #desk: PeerDesk | undefined;

  private constructor(parts: MirroredBlobParts) {
    this.#parts = parts;
  }

  static async open(parts: MirroredBlobParts): Promise<MirroredBlobs> {
    const blobs = new MirroredBlobs(parts);
    if (parts.peers)
      blobs.#desk = await PeerDesk.open(parts.peers, (what) => (isDigest(what) ? blobs.#running(what) : undefined));
    return blobs;
  }

  /**
   * Rejects with BLOB_UNKNOWN when neither we nor the upstream have it, and with MIRROR_SOURCE_… when that can't be told.
   * For "stat" nothing is fetched, and what is answered must not be opened.
   */
  async find(
    name: OciName,
    digest: Digest,
    watch: Watch = invalidWatch,
    wanted: "stat" | "content" = "content",
  ): Promise<LinkedBlob> {
    const { own, upstreams, records } = this.#parts;
    try {
      const found = await own.find(name, digest, watch);
      if (upstreams.find(name)) records.touchLater(digest);
      return found;
    } catch (error) {
      const from = isUnknown(error) ? upstreams.find(name) : undefined;
      if (!from) throw error;
      // It may come any moment.
      watch.close();
      return await this.#fromUpstream(name, digest, from, wanted, error);
    }
  }

  /** Takes a blob from this repository alone. Rejects with BLOB_UNKNOWN when it has none. */
  async unlink(name: OciName, digest: Digest): Promise<void> {
    await this.#parts.own.unlink(name, digest);
  }

  /** As of repositories of our own: only what is in store is given to others, and is theirs then. */
  async mount(name: OciName, digest: Digest, from?: OciName): Promise<boolean> {
    const { own, records } = this.#parts;
    await records.forgetBlob(digest);
    return await own.mount(name, digest, from);
  }

  /** Fetches the blob, if the upstream has it, and waits until it is kept. Rejects as `find`. */
  async bring(name: OciName, digest: Digest): Promise<void> {
    if (await this.#parts.own.has(name, digest)) return;
    await this.find(name, digest);
    await this.#fetches.get(digest)?.ended;
    if (!(await this.#parts.own.has(name, digest))) throw new RegistryError("BLOB_UNKNOWN", { detail: digest });
  }

  /** Gives up what is on its way. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(
      [...this.#fetches.values()].map(async ({ ended }) => {
        await ended;
      }),
    );
    await this.#desk?.close();
  }

  async #fromUpstream(
    name: OciName,
    digest: Digest,
    from: Mirrored,
    wanted: "stat" | "content",
    unknown: unknown,
  ): Promise<LinkedBlob> {
    const { own, blobs, records } = this.#parts;
    const running = this.#running(digest);
    if (running && wanted === "content") this.#parts.meter.shared();
    try {
      const same = running?.name === name ? running : undefined;
      // What others have just begun to keep is linked by them.
      const isElsewhere = running === undefined && (await this.#desk?.find(name, digest)) !== undefined;
      const here = isElsewhere ? undefined : await blobs.size(digest);
      const size = same
        ? await same.size
        : here !== undefined || running || wanted === "stat"
          ? await from.upstream.blobSize(from.remoteName, digest)
          : await this.#fetch(name, digest, from).size;
      if (size === undefined) throw unknown;
      // What is just being kept is linked by its fetch.
      if (here !== undefined && !same) {
        await own.link(name, digest);
        await records.keepBlob(digest, name, here, true);
        return await own.find(name, digest);
      }
      return await this.#onItsWay(name, digest, size, from);
    } catch (error) {
      // Who only looks whether it is here wants to push it, and then can.
      throw wanted === "stat" && error instanceof UpstreamFailure ? unknown : told(error, "BLOB_UNKNOWN");
    }
  }

  /** Others may have begun to fetch it meanwhile, or have ended. */
  async #onItsWay(name: OciName, digest: Digest, size: number, from: Mirrored): Promise<LinkedBlob> {
    const fetch = this.#running(digest);
    const known = fetch ? ((await fetch.size) ?? size) : size;
    if (fetch && fetch.name !== name)
      void fetch.ended.then(async () => {
        await this.#linkToo(name, digest);
      });
    return {
      digest,
      size: known,
      key: blobKey(digest),
      open: async (range) => {
        const running = fetch ?? this.#fetch(name, digest, from);
        await running.size;
        return running.open(range);
      },
      redirectUrl: async () => {
        await Promise.resolve(undefined);
      },
      localPath: undefined,
    };
  }

  #fetch(name: OciName, digest: Digest, from: Mirrored): Running {
    const running = this.#running(digest);
    if (running) return running;
    const { driver, own, blobs, records, folder, log, meter } = this.#parts;
    const { signal } = this.#closing;
    const { who } = from.upstream;
    const facts = { upstream: who, repository: name, digest };
    const fetch = fetchBlob({
      who,
      ask: async (start) => await this.#ask(name, digest, from, start),
      what: digest,
      verified: (source) => verified(source, digest),
      folder,
      signal,
      onBytes: (count) => {
        meter.fetched(who, count);
      },
      keep: async (read, { isUpstreams, answer }) => {
        if (!isUpstreams) {
          // It ends when the others have kept it, unless they could not.
          await read(Infinity).next();
          if (await own.has(name, digest)) return;
        }
        const before = (await blobs.size(digest)) !== undefined;
        const { size: kept } = await driver.write(blobKey(digest), read(), isUpstreams ? sizeOf(answer) : undefined);
        await records.keepBlob(digest, name, kept, before);
        await own.link(name, digest);
      },
      onError: (err) => {
        log.error({ ...facts, err }, "A blob of the mirrored registry could not be kept");
      },
      onFailure: (error) => {
        if (!signal.aborted) log.warn({ ...facts, reason: String(error) }, "A blob could not be fetched");
      },
    });
    const added = Object.assign(fetch, { name });
    this.#fetches.set(digest, added);
    void fetch.ended.then(() => {
      if (this.#fetches.get(digest) !== added) return;
      this.#fetches.delete(digest);
      this.#desk?.ended(name, digest);
    });
    return added;
  }

  /** From another process that fetches it already, or has just kept it, and else from the upstream. */
  async #ask(name: OciName, digest: Digest, from: Mirrored, start: number): Promise<Arriving | undefined> {
    const { signal } = this.#closing;
    const kept = async () => await this.#kept(name, digest, start);
    const others = await this.#desk?.ask(name, digest, { start, signal, kept });
    if (others) return { answer: others, isUpstreams: false };
    const answer = await from.upstream.blob(from.remoteName, digest, start, { signal });
    return answer && { answer, isUpstreams: true };
  }

  async #kept(name: OciName, digest: Digest, start: number): Promise<Answer | undefined> {
    const { own } = this.#parts;
    return (await own.has(name, digest)) ? await keptAnswer(await own.find(name, digest), start) : undefined;
  }

  /** The fetch that runs, unless nothing will come of it. */
  #running(digest: Digest): Running | undefined {
    const fetch = this.#fetches.get(digest);
    return fetch?.hasFailed === true ? undefined : fetch;
  }

  async #linkToo(name: OciName, digest: Digest): Promise<void> {
    const { own, blobs, records } = this.#parts;
    const size = await blobs.size(digest);
    if (size === undefined) return;
    await own.link(name, digest);
    await records.keepBlob(digest, name, size, true);
  }
}

function isUnknown(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "BLOB_UNKNOWN";
}
