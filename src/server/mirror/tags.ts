import { LRUCache } from "lru-cache";
import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import { RegistryError } from "../errors.ts";
import type { Log } from "../log.ts";
import { merged } from "../registry/merged.ts";
import type { SharedOciTags } from "../registry/bridge/shared-oci-tags.ts";
import type { Warn } from "../registry/manifests.ts";
import { isOciTag, type OciName, type OciTag } from "../registry/oci-names.ts";
import type { TagStore } from "../registry/oci-tags.ts";
import { told, UpstreamFailure } from "./failure.ts";
import { warningOf } from "./manifests.ts";
import type { MirrorMeter } from "./meter.ts";
import type { Mirrored, Upstreams } from "./upstreams.ts";

/** A list is believed at most so long, in milliseconds: it is long to read, and new tags are looked for in it. */
const believed = 60_000;
/** And at least until the request that asked for it is answered. */
const shortest = 1_000;

/** The tags of repositories, with those that upstreams have. */
export class MirroredTags implements TagStore {
  readonly #own: SharedOciTags;
  readonly #upstreams: Upstreams;
  readonly #log: Log;
  readonly #meter: MirrorMeter;
  readonly #lists = new LRUCache<OciName, readonly OciTag[]>({ max: 1_000, maxSize: 1_000_000, sizeCalculation: (tags) => tags.length + 1 }); // prettier-ignore

  constructor(parts: {
    readonly own: SharedOciTags;
    readonly upstreams: Upstreams;
    readonly log: Log;
    readonly meter: MirrorMeter;
  }) {
    this.#own = parts.own;
    this.#upstreams = parts.upstreams;
    this.#log = parts.log;
    this.#meter = parts.meter;
  }

  /** Rejects with NAME_UNKNOWN when neither we nor the upstream have the repository. `warn` is told why the list may lack tags. */
  async requireRepository(name: OciName, watch: Watch = invalidWatch, warn?: Warn): Promise<void> {
    const from = this.#upstreams.find(name);
    if (!from) {
      await this.#own.requireRepository(name, watch);
      return;
    }
    watch.close();
    try {
      if (!(await this.#listOf(name, from))) await this.#own.requireRepository(name);
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error;
      await this.#own.requireRepository(name).catch((absent: unknown) => {
        throw absent instanceof RegistryError ? told(error, "NAME_UNKNOWN") : absent;
      });
      this.#log.warn({ upstream: from.upstream.who, repository: name, reason: error.message }, "Tags are listed without those of the mirrored registry"); // prettier-ignore
      this.#meter.stale(from.upstream.who);
      warn?.(warningOf(error));
    }
  }

  /** In byte order, from the first beyond `after`. Of an upstream that does not answer, those that are here. */
  async *list(name: OciName, after = "", watch: Watch = invalidWatch): AsyncGenerator<OciTag> {
    const from = this.#upstreams.find(name);
    const own = this.#own.list(name, after, watch);
    const remote = this.#lists.get(name)?.filter((tag) => tag > after) ?? [];
    yield* from && remote.length > 0 ? merged(own, remote) : own;
  }

  /** Removes the tag here; what the upstream has comes again when it is asked for. Rejects with MANIFEST_UNKNOWN. */
  async delete(name: OciName, tag: OciTag): Promise<void> {
    await this.#own.delete(name, tag);
  }

  async #listOf(name: OciName, { upstream, remoteName, place }: Mirrored): Promise<readonly OciTag[] | undefined> {
    const known = this.#lists.get(name);
    if (known) return known;
    const tags = (await upstream.tags(remoteName))?.filter(isOciTag);
    const ttl = Math.max(shortest, Math.min(believed, place.tagsLifetime));
    if (tags) this.#lists.set(name, tags, { ttl });
    return tags;
  }
}
