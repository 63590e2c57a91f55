import { LRUCache } from "lru-cache";
import { RegistryError } from "../errors.ts";
import type { Log } from "../log.ts";
import { SharedRuns } from "../registry/bridge/shared-runs.ts";
import type { SharedTags } from "../registry/bridge/shared-tags.ts";
import type { Images, ImageView } from "../registry/images.ts";
import { parseTagName, type ImageId, type RepositoryName } from "../registry/names.ts";
import { isOciName, isOciTag, type OciName, type OciTag } from "../registry/oci-names.ts";
import type { Tag, Tags } from "../registry/tags.ts";
import { told, UpstreamFailure } from "./failure.ts";
import type { MirrorMeter } from "./meter.ts";
import type { Peers } from "./peers.ts";
import type { MirrorRecords } from "./records.ts";
import type { V1Layers } from "./v1-layers.ts";
import type { V1Source } from "./v1-source.ts";

/** A repository of a V1 source, and what it is here. */
export interface V1Origin {
  readonly source: V1Source;
  readonly remoteName: string;
  readonly name: OciName;
  readonly repository: RepositoryName;
  /** How long its tags are believed, in milliseconds. */
  readonly tagsLifetime: number;
}

/** What mirrors of V1 sources work with. */
export interface V1MirrorParts {
  /** Those that ask nobody for images that aren't there. */
  readonly images: Images;
  readonly layers: Pick<V1Layers, "bring" | "describe" | "layer">;
  readonly ownTags: Tags;
  readonly tags: SharedTags;
  readonly records: MirrorRecords;
  readonly log: Log;
  readonly meter: MirrorMeter;
  /** The other processes of the server: one may be asked for an image that another was told of. */
  readonly peers: Peers | undefined;
  /** Where a repository comes from. */
  readonly originOf: (name: OciName) => V1Origin | undefined;
}

interface Announced {
  readonly origin: V1Origin;
  readonly tags: Set<OciTag>;
}

const setter = "{}";
const atOnce = 4;
const mostQuestions = 64;

/**
 * Images of V1 sources, as the original mirrored them: tags are asked for and believed for a while, images come with their
 * chain when somebody asks for them, and are kept. A tag is kept once its image is here.
 */
export class V1Mirror {
  readonly #parts: V1MirrorParts;
  /** Images that sources have told of, and their ancestors: they may be asked for by their ids alone. */
  readonly #announced = new LRUCache<ImageId, Announced>({
    max: 100_000,
    dispose: (_, id) => this.#parts.peers?.ended(keyOf(id)),
    noDisposeOnSet: true,
  });
  readonly #runs = new SharedRuns<boolean>({ atOnce });
  readonly #ancestries = new SharedRuns<readonly ImageId[] | undefined>({ atOnce: mostQuestions });

  constructor(parts: V1MirrorParts) {
    this.#parts = parts;
  }

  /** The image of a tag; it may have to be brought. `warn` is told why it may be another by now. Rejects with TAG_UNKNOWN. */
  async image(origin: V1Origin, tag: OciTag, warn?: (reason: string) => void): Promise<ImageId> {
    const { ownTags, images, records, log, meter } = this.#parts;
    const { name, repository, source, remoteName, tagsLifetime } = origin;
    const [current, record] = await Promise.all([ownTags.find(repository, parseTagName(tag)), records.tag(name, tag)]);
    if (current !== undefined && record?.digest !== current) return current;
    if (current !== undefined && record && record.checked + tagsLifetime > Date.now()) return current;
    try {
      const image = await source.image(remoteName, tag);
      if (image === undefined) throw new RegistryError("TAG_UNKNOWN");
      if (image === current) await records.keepTag(name, tag, image);
      else if ((await images.state(image)) === "complete") await this.#keepTag(origin, tag, image);
      else await this.#announce(origin, image, tag);
      return image;
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error;
      if (current === undefined) throw told(error, "TAG_UNKNOWN");
      log.warn({ upstream: source.who, repository: name, tag, reason: error.message }, "A tag is served as it last was: the mirrored registry does not tell what it is now"); // prettier-ignore
      meter.stale(source.who);
      warn?.(error.message);
      return current;
    }
  }

  /** The source's tags; undefined when it has no such repository, and why when it does not tell. */
  async list(origin: V1Origin): Promise<readonly Tag[] | UpstreamFailure | undefined> {
    const { source, remoteName, name } = origin;
    try {
      const tags = await source.tags(remoteName);
      if (!tags) return undefined;
      const listed = [...tags].flatMap(([tag, image]) => (isOciTag(tag) ? [{ name: tag, image }] : []));
      await Promise.all(
        listed.map(async (tag) => {
          await this.#announce(origin, tag.image, tag.name);
        }),
      );
      return listed;
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error;
      this.#parts.log.warn({ upstream: source.who, repository: name, reason: error.message }, "Tags are listed without those of the mirrored registry"); // prettier-ignore
      this.#parts.meter.stale(source.who);
      return error;
    }
  }

  /** Fetches an image that a source has told of, with all that it is built on; answers whether it is complete then. */
  async bring(id: ImageId): Promise<boolean> {
    const origin = await this.#originOf(id);
    if (!origin) return false;
    return await orTold(this.#runs.run(id, async () => await this.#bring(id, origin)));
  }

  /**
   * An image that a source has told of and that is not all here, as far as it has come; undefined for all others. Its
   * methods reject with IMAGE_UNKNOWN where the source hasn't what is asked for.
   */
  async arriving(id: ImageId): Promise<ImageView | undefined> {
    const { images, layers } = this.#parts;
    if ((await images.state(id)) === "complete") return undefined;
    const origin = await this.#originOf(id);
    return (
      origin && {
        json: async () => (await orTold(layers.describe(id, origin))).document.bytes,
        checksums: async () => {
          const { checksum } = await orTold(layers.describe(id, origin));
          return checksum === undefined ? [] : [checksum];
        },
        ancestry: async () => {
          const ancestry = await orTold(this.#ancestries.run(id, async () => await this.#ancestry(id, origin)));
          if (!ancestry) throw new RegistryError("IMAGE_UNKNOWN");
          return ancestry;
        },
        layer: async () => await orTold(layers.layer(id, origin)),
      }
    );
  }

  /** An image is here now: so are the tags that name it. */
  async keepTags(id: ImageId): Promise<void> {
    const { origin, tags } = this.#announced.get(id) ?? {};
    for (const tag of tags ?? []) if (origin) await this.#keepTag(origin, tag, id);
  }

  /** Whether a tag that is here was pushed here. */
  async isPushed({ name }: V1Origin, tag: Tag): Promise<boolean> {
    return isOciTag(tag.name) && (await this.#parts.records.tag(name, tag.name))?.digest !== tag.image;
  }

  async #announce(origin: V1Origin, image: ImageId, tag?: OciTag): Promise<void> {
    const before = this.#announced.get(image);
    const tags = before?.tags ?? new Set();
    this.#announced.set(image, { origin, tags: tag === undefined ? tags : tags.add(tag) });
    if (!before) await this.#parts.peers?.claim(keyOf(image), origin.name);
  }

  /** Where an image comes from that this process was told of, or another. */
  async #originOf(id: ImageId): Promise<V1Origin | undefined> {
    const announced = this.#announced.get(id);
    if (announced) return announced.origin;
    const name = await this.#parts.peers?.find(keyOf(id));
    return name !== undefined && isOciName(name) ? this.#parts.originOf(name) : undefined;
  }

  /** Who is told what an image is built on asks for that by its ids. */
  async #ancestry(id: ImageId, origin: V1Origin): Promise<readonly ImageId[] | undefined> {
    const ancestry = await origin.source.ancestry(origin.remoteName, id);
    for (const each of ancestry ?? []) await this.#announce(origin, each);
    return ancestry;
  }

  async #keepTag({ name, repository }: V1Origin, tag: OciTag, image: ImageId): Promise<void> {
    await this.#parts.tags.put(repository, parseTagName(tag), image, setter);
    await this.#parts.records.keepTag(name, tag, image);
  }

  async #bring(id: ImageId, origin: V1Origin): Promise<boolean> {
    const { images, layers } = this.#parts;
    const ancestry = await origin.source.ancestry(origin.remoteName, id);
    if (!ancestry) return false;
    for (const each of [...ancestry].reverse()) {
      if ((await images.state(each)) !== "complete" && !(await layers.bring(each, origin))) return false;
    }
    return true;
  }
}

/** Failures as clients are told of them. */
async function orTold<T>(answer: Promise<T>): Promise<T> {
  return await answer.catch((error: unknown) => {
    throw told(error, "IMAGE_UNKNOWN");
  });
}

function keyOf(id: ImageId): string {
  return `image ${id}`;
}
