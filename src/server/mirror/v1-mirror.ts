import { LRUCache } from "lru-cache";
import { DriverError } from "../../drivers/storage/errors.ts";
import { RegistryError } from "../errors.ts";
import type { Log } from "../log.ts";
import { SharedRuns } from "../registry/bridge/shared-runs.ts";
import type { SharedTags } from "../registry/bridge/shared-tags.ts";
import { Hashing } from "../registry/digest.ts";
import { parseImageDocument, type ImagePush } from "../registry/image-push.ts";
import type { Images } from "../registry/images.ts";
import { parseTagName, repositoryText, type ImageId, type RepositoryName } from "../registry/names.ts";
import type { Turns } from "../registry/keyed-lock.ts";
import { isOciName, isOciTag, type OciName, type OciTag } from "../registry/oci-names.ts";
import type { Tag, Tags } from "../registry/tags.ts";
import { told, UpstreamFailure } from "./failure.ts";
import type { MirrorMeter } from "./meter.ts";
import type { Peers } from "./peers.ts";
import type { MirrorRecords } from "./records.ts";
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
  readonly push: ImagePush;
  readonly ownTags: Tags;
  readonly tags: SharedTags;
  readonly records: MirrorRecords;
  readonly log: Log;
  readonly meter: MirrorMeter;
  readonly turns: Turns;
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
    const announced = this.#announced.get(id) ?? (await this.#announcedElsewhere(id));
    if (!announced) return false;
    const { origin, tags } = announced;
    try {
      return await this.#runs.run(id, async () => await this.#bring(id, origin, tags));
    } catch (error) {
      throw told(error, "IMAGE_UNKNOWN");
    }
  }

  /** Whether a tag that is here was pushed here. */
  async isPushed({ name }: V1Origin, tag: Tag): Promise<boolean> {
    return isOciTag(tag.name) && (await this.#parts.records.tag(name, tag.name))?.digest !== tag.image;
  }

  async #announce(origin: V1Origin, image: ImageId, tag: OciTag): Promise<void> {
    const before = this.#announced.get(image);
    this.#announced.set(image, { origin, tags: (before?.tags ?? new Set()).add(tag) });
    if (!before) await this.#parts.peers?.claim(keyOf(image), origin.name);
  }

  async #announcedElsewhere(id: ImageId): Promise<Announced | undefined> {
    const name = await this.#parts.peers?.find(keyOf(id));
    const origin = name !== undefined && isOciName(name) ? this.#parts.originOf(name) : undefined;
    return origin && { origin, tags: new Set() };
  }

  async #keepTag({ name, repository }: V1Origin, tag: OciTag, image: ImageId): Promise<void> {
    await this.#parts.tags.put(repository, parseTagName(tag), image, setter);
    await this.#parts.records.keepTag(name, tag, image);
  }

  async #bring(id: ImageId, origin: V1Origin, wanted: ReadonlySet<OciTag>): Promise<boolean> {
    const { images, turns } = this.#parts;
    const { source, remoteName } = origin;
    const ancestry = await source.ancestry(remoteName, id);
    if (!ancestry) return false;
    for (const each of [...ancestry].reverse()) {
      if ((await images.state(each)) === "complete") continue;
      // Another process may do so, or have done.
      const isHere = async () => (await images.state(each)) === "complete" || (await this.#fetch(each, origin));
      if (!(await turns.run(`fetching image ${each}`, isHere))) return false;
    }
    for (const tag of wanted) await this.#keepTag(origin, tag, id);
    return true;
  }

  /** As a client would push it: it counts once its checksum is right. */
  async #fetch(id: ImageId, { source, remoteName, repository }: V1Origin): Promise<boolean> {
    const { push } = this.#parts;
    const [document, layer] = [await source.document(remoteName, id), await source.layer(remoteName, id)];
    if (!document || !layer) {
      layer?.body.destroy();
      return false;
    }
    const hashing = new Hashing("sha256", Buffer.concat([document.bytes, Buffer.from("\n")]));
    try {
      await push.putDocument(parseImageDocument(id, document.bytes), async () => await Promise.resolve(true));
      await push.putLayer(id, () => hashing.through(layer.body as AsyncIterable<Uint8Array>), false);
      await push.putChecksum(id, { kind: "payload", value: document.checksum ?? hashing.digest() });
    } catch (cause) {
      if (cause instanceof RegistryError && cause.code === "IMAGE_EXISTS") return true;
      if (cause instanceof DriverError) throw cause;
      const what = `image ${id} of ${repositoryText(repository)}`;
      throw new UpstreamFailure("broken", `${source.who} does not give ${what} as it should be`, { cause });
    } finally {
      layer.body.destroy();
    }
    return true;
  }
}

function keyOf(id: ImageId): string {
  return `image ${id}`;
}
