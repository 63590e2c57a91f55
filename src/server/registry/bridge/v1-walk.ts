import { RegistryError } from "../../errors.ts";
import { isObject, type Documents } from "../documents.ts";
import type { Images } from "../images.ts";
import { isImageId, parseTagName, type ImageId, type RepositoryName } from "../names.ts";
import { imageKey } from "../paths.ts";
import type { Tags } from "../tags.ts";

/** Finds what V1 has, however damaged the store is. */
export class V1Walk {
  readonly #documents: Documents;
  readonly #tags: Tags;
  readonly #images: Images;

  constructor(parts: {
    readonly documents: Documents;
    /** V1's own. */
    readonly tags: Tags;
    /** Must not make images that are not there. */
    readonly images: Images;
  }) {
    this.#documents = parts.documents;
    this.#tags = parts.tags;
    this.#images = parts.images;
  }

  /** The images that a tag leads to, from its own down to the base, as far as they are known. */
  async chain(repository: RepositoryName, tag: string): Promise<readonly ImageId[]> {
    const image = await this.image(repository, tag);
    return image === undefined ? [] : await this.#ancestry(image);
  }

  /** The tags of a repository, each once, also those that name nothing. */
  async *tags(repository: RepositoryName): AsyncGenerator<string> {
    const seen = new Set<string>();
    for await (const tag of this.#tags.names(repository)) {
      if (!seen.has(tag)) yield tag;
      seen.add(tag);
    }
  }

  async image(repository: RepositoryName, tag: string): Promise<ImageId | undefined> {
    try {
      return await this.#tags.find(repository, parseTagName(tag));
    } catch (error) {
      if (error instanceof RegistryError && error.code === "TAG_INVALID") return undefined;
      throw error;
    }
  }

  /** As far as it is known: an image that is missing ends it. */
  async #ancestry(image: ImageId): Promise<readonly ImageId[]> {
    try {
      return await this.#images.ancestry(image);
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== "IMAGE_UNKNOWN") throw error;
    }
    const chain: ImageId[] = [];
    for (let next: unknown = image; isImageId(next) && !chain.includes(next);) {
      chain.push(next);
      const json = await this.#documents.readJson(imageKey(next, "json"));
      next = isObject(json) ? json["parent"] : undefined;
    }
    return chain;
  }
}
