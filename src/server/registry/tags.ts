import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import { RegistryError } from "../errors.ts";
import { groups } from "./groups.ts";
import type { Documents } from "./documents.ts";
import type { Images } from "./images.ts";
import { isImageId, parseTagName, quoteElement, type ImageId, type RepositoryName, type TagName } from "./names.ts";
import { repositoryFolders, repositoryKeys, tagFilePrefix, tagJsonKeys, tagKeys, tagOfFile } from "./paths.ts";
import type { Repositories } from "./repositories.ts";

/** A tag and the image it names. */
export interface Tag {
  readonly name: string;
  readonly image: ImageId;
}

/** How many tags of a list are read at the same time. */
const atOnce = 32;

/** The tags of repositories. */
export class Tags {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #images: Images;
  readonly #repositories: Repositories;

  constructor(parts: {
    readonly driver: StorageDriver;
    readonly documents: Documents;
    readonly images: Images;
    readonly repositories: Repositories;
  }) {
    this.#driver = parts.driver;
    this.#documents = parts.documents;
    this.#images = parts.images;
    this.#repositories = parts.repositories;
  }

  /** The tags in the order of their file names. Rejects with REPOSITORY_UNKNOWN before the first. */
  async list(repository: RepositoryName): Promise<readonly Tag[]> {
    if (!(await this.#repositories.exists(repository))) throw new RegistryError("REPOSITORY_UNKNOWN");
    const tags = new Map<string, Tag>();
    for (const folder of repositoryFolders(repository)) {
      for await (const files of groups(this.#driver.children(folder), atOnce)) {
        const read = await Promise.all(files.map(async (file) => await this.#tagOf(folder, file)));
        for (const tag of read) if (tag && !tags.has(tag.name)) tags.set(tag.name, tag);
      }
    }
    return [...tags.values()];
  }

  /** The names of the tags, in no order and some perhaps twice; their files are not read. Nothing for no repository. */
  async *names(repository: RepositoryName): AsyncGenerator<string> {
    for (const folder of repositoryFolders(repository)) {
      for await (const file of this.#driver.children(folder, tagFilePrefix)) {
        if (!file.startsWith(tagFilePrefix)) break;
        yield tagOfFile(file.slice(tagFilePrefix.length));
      }
    }
  }

  /** The tag that a file of the folder is of; where two are of the same tag, the one that is written counts. */
  async #tagOf(folder: string, file: string): Promise<Tag | undefined> {
    if (!file.startsWith(tagFilePrefix)) return undefined;
    const name = tagOfFile(file.slice(tagFilePrefix.length));
    const image = await this.#image([`${folder}/${tagFilePrefix}${quoteElement(name)}`, `${folder}/${file}`]);
    return image && { name, image };
  }

  /** Rejects with TAG_UNKNOWN. */
  async image(repository: RepositoryName, tag: TagName): Promise<ImageId> {
    const image = await this.find(repository, tag);
    if (image === undefined) throw new RegistryError("TAG_UNKNOWN");
    return image;
  }

  /** The image that the tag names, or undefined. What the answer depends on is added to `watch`. */
  async find(repository: RepositoryName, tag: TagName, watch: Watch = invalidWatch): Promise<ImageId | undefined> {
    const keys = tagKeys(repository, tag);
    for (const key of keys) watch.add(key);
    return await this.#image(keys);
  }

  /**
   * Points the tag at an image, whose push may still be going on. `json` is the document about who set it; for `latest`
   * it is the repository's too. Rejects with IMAGE_UNKNOWN.
   */
  async put(repository: RepositoryName, tag: TagName, image: ImageId, json: string): Promise<void> {
    if (!(await this.#images.exists(image))) throw new RegistryError("IMAGE_UNKNOWN");
    await this.#documents.write(tagJsonKeys(repository, tag)[0], json);
    if (tag === "latest") await this.#documents.write(repositoryKeys(repository, "json")[0], json);
    await this.#documents.write(tagKeys(repository, tag)[0], image);
  }

  /** Rejects with TAG_UNKNOWN. */
  async delete(repository: RepositoryName, tag: TagName): Promise<void> {
    if (!(await this.remove(repository, tag))) throw notFound(tag);
  }

  /** As `delete`, but answers whether there was one. */
  async remove(repository: RepositoryName, tag: TagName): Promise<boolean> {
    if (!(await this.#documents.delete(...tagKeys(repository, tag)))) return false;
    await this.#documents.delete(...tagJsonKeys(repository, tag));
    if (tag === "latest") await this.#documents.delete(...repositoryKeys(repository, "json"));
    return true;
  }

  /** The document about who set the tag, byte for byte, or undefined. */
  async json(repository: RepositoryName, tag: TagName): Promise<Buffer | undefined> {
    return await this.#documents.read(...tagJsonKeys(repository, tag));
  }

  /** The document of `latest`, byte for byte, or undefined. */
  async repositoryJson(repository: RepositoryName): Promise<Buffer | undefined> {
    return (
      (await this.#documents.read(...repositoryKeys(repository, "json"))) ??
      (await this.json(repository, parseTagName("latest")))
    );
  }

  async #image(keys: readonly string[]): Promise<ImageId | undefined> {
    const text = (await this.#documents.read(...keys))?.toString("latin1").trim();
    return isImageId(text) ? text : undefined;
  }
}

/** What is told of a tag that is to be deleted and isn't there. */
export function notFound(tag: TagName): RegistryError {
  return new RegistryError("TAG_UNKNOWN", { message: `Tag not found: ${tag}` });
}
