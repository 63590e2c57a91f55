import { invalidWatch, type Watch } from "../../../drivers/storage/watches.ts";
import { RegistryError } from "../../errors.ts";
import type { Digest } from "../digest.ts";
import { groups } from "../groups.ts";
import type { ImageId, RepositoryName, TagName } from "../names.ts";
import type { OciName, OciTag } from "../oci-names.ts";
import type { OciTags } from "../oci-tags.ts";
import type { Tags } from "../tags.ts";
import { Background } from "./background.ts";
import type { ManifestLinks } from "./manifest-links.ts";
import { ociNamesOf, v1RepositoryOf, v1TagOf } from "./names.ts";
import type { OciTranslation } from "./oci-translation.ts";
import type { V1Translation } from "./v1-translation.ts";

/** What V2 is shown of a tag of V1. */
export interface PreparedTag {
  readonly image: ImageId;
  readonly manifest: Digest;
  /** What V2 calls the repository, most explicit first; nothing where it can't spell it. */
  readonly names: readonly OciName[];
}

/** How many tags of a list are looked at at the same time. */
const atOnce = 32;

/** Shows the tags of each protocol to the other. A tag that V2 has counts before V1's of the same name. */
export class Bridge {
  readonly #tags: Tags;
  readonly #ociTags: OciTags;
  readonly #links: ManifestLinks;
  readonly #toOci: OciTranslation;
  readonly #toV1: V1Translation;
  readonly #background: Background;

  constructor(parts: {
    /** Each protocol's own. */
    readonly tags: Tags;
    readonly ociTags: OciTags;
    readonly links: ManifestLinks;
    readonly toOci: OciTranslation;
    readonly toV1: V1Translation;
    /** Told what failed in the background; whoever asks for the image later is told again. Must not throw. */
    readonly onError: (error: unknown, image: string) => void;
  }) {
    this.#tags = parts.tags;
    this.#ociTags = parts.ociTags;
    this.#links = parts.links;
    this.#toOci = parts.toOci;
    this.#toV1 = parts.toV1;
    this.#background = new Background(parts.onError);
  }

  /**
   * The manifest of a tag that V1 has and V2 has not, which the repository has then too; undefined when V1 has none. What
   * the answer depends on is added to `watch`. Rejects with MANIFEST_UNKNOWN or IMAGE_UNTRANSLATABLE, which say why.
   */
  async manifestOfTag(name: OciName, tag: OciTag, watch: Watch = invalidWatch): Promise<Digest | undefined> {
    const repository = v1RepositoryOf(name);
    const image = repository && (await this.#tags.find(repository, v1TagOf(tag), watch));
    return image && (await this.#linked(name, image, await this.#toOci.manifestOf(image)));
  }

  /** The image that V1 shows for a tag that V2 has; undefined when V2 has none. Rejects with IMAGE_UNTRANSLATABLE. */
  async imageOfTag(repository: RepositoryName, tag: OciTag): Promise<ImageId | undefined> {
    const found = await Promise.all(ociNamesOf(repository).map(async (name) => await this.#ociTags.digest(name, tag)));
    const digest = found.find((each) => each !== undefined);
    return digest && (await this.#toV1.imageOf(digest));
  }

  /** The tags that V2 has of a repository of V1, each once; `image` is undefined for what V1 clients can't use. */
  async *tagsOfV2(
    repository: RepositoryName,
  ): AsyncGenerator<{ readonly name: OciTag; readonly image: ImageId | undefined }> {
    const names = ociNamesOf(repository);
    const seen = new Set<OciTag>();
    for (const name of names) {
      for await (const group of groups(this.#ociTags.list(name), atOnce)) {
        const fresh = group.filter((tag) => !seen.has(tag));
        const images = await Promise.all(fresh.map(async (tag) => await this.#usableImage(name, tag)));
        yield* fresh.map((tag, index) => ({ name: tag, image: images[index] }));
        if (names.length > 1) for (const tag of fresh) seen.add(tag);
      }
    }
  }

  /** The manifest that was made of a V1 image, if it was. */
  async knownManifestOf(image: ImageId): Promise<Digest | undefined> {
    return await this.#toOci.knownManifestOf(image);
  }

  /**
   * Makes a tag of V1 ready for V2, and looks at all that it needs, also when it was ready before. Rejects with TAG_UNKNOWN,
   * and with what is wrong: MANIFEST_UNKNOWN, IMAGE_UNTRANSLATABLE.
   */
  async prepare(repository: RepositoryName, tag: TagName): Promise<PreparedTag> {
    const image = await this.#tags.image(repository, tag);
    const manifest = await this.#toOci.manifestOf(image, "thorough");
    const names = ociNamesOf(repository);
    const [name] = names;
    return { image, manifest: name ? await this.#linked(name, image, manifest) : manifest, names };
  }

  /**
   * What is wrong with a tag of V1 as far as it can be told without reading layers: rejects like `prepare`, and writes
   * nothing. `manifest` is undefined while the tag is to be prepared.
   */
  async look(
    repository: RepositoryName,
    tag: TagName,
  ): Promise<{ readonly image: ImageId; readonly manifest: Digest | undefined }> {
    const image = await this.#tags.image(repository, tag);
    return { image, manifest: await this.#toOci.look(image) };
  }

  /** Translates an image for V2 beside other work; whoever asks for it later is told again why it can't be. */
  prepareLater(image: ImageId): void {
    this.#background.add(image, async () => await this.#toOci.manifestOf(image));
  }

  /** Gives up what is to be done in the background, and waits for what has begun. */
  async close(): Promise<void> {
    await this.#background.close();
  }

  /** Undefined for what V1 clients can't use, or what was deleted meanwhile. */
  async #usableImage(name: OciName, tag: OciTag): Promise<ImageId | undefined> {
    const digest = await this.#ociTags.digest(name, tag);
    try {
      return digest && (await this.#toV1.imageOf(digest));
    } catch (error) {
      if (error instanceof RegistryError && error.code === "IMAGE_UNTRANSLATABLE") return undefined;
      throw error;
    }
  }

  /** Content that was lost since the image was translated may be found again. */
  async #linked(name: OciName, image: ImageId, manifest: Digest): Promise<Digest> {
    if (await this.#links.link(name, manifest)) return manifest;
    const again = await this.#toOci.manifestOf(image, "thorough");
    if (await this.#links.link(name, again)) return again;
    throw new RegistryError("MANIFEST_UNKNOWN", { detail: `some of the content of image ${image} is missing` });
  }
}
