import { LRUCache } from "lru-cache";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import type { Documents } from "./documents.ts";
import { repositoryOfFolders, type ImageId, type RepositoryName } from "./names.ts";
import {
  imagePusherKey,
  imagePushersPrefix,
  imagePushKey,
  imageRepositoriesPrefix,
  imageRepositoryKey,
} from "./paths.ts";

/** So many notes that are known to be there are remembered. */
const mostKnown = 50_000;

/**
 * Notes which repositories have a V1 image and who has pushed it. Images are reached by their ids alone, so where some may
 * see some repositories only, nothing else tells whether they may see an image.
 */
export class ImageOwners {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #known = new LRUCache<string, true>({ max: mostKnown });

  constructor({ driver, documents }: { readonly driver: StorageDriver; readonly documents: Documents }) {
    this.#driver = driver;
    this.#documents = documents;
  }

  async noteRepository(repository: RepositoryName, images: Iterable<ImageId>): Promise<void> {
    for (const image of images) await this.#note(imageRepositoryKey(image, repository));
  }

  /** The account begins to push the image, with a document; or it has sent a layer, by the checksum of both. */
  async notePush(image: ImageId, account: string, payload = ""): Promise<void> {
    await this.#documents.write(imagePushKey(image, account), payload);
  }

  /**
   * The image is complete, with these checksums: who has sent that layer has pushed the image. Who has sent another, and
   * merely knew the checksum, has not.
   */
  async noteComplete(image: ImageId, account: string, checksums: readonly string[]): Promise<void> {
    const key = imagePushKey(image, account);
    if (!checksums.includes((await this.#documents.read(key))?.toString() ?? "")) return;
    await this.#note(imagePusherKey(image, account));
    await this.#documents.delete(key);
  }

  async isIn(repository: RepositoryName, image: ImageId): Promise<boolean> {
    return await this.#has(imageRepositoryKey(image, repository));
  }

  async isBeingPushedBy(account: string, image: ImageId): Promise<boolean> {
    return await this.#documents.has(imagePushKey(image, account));
  }

  /** Whether the account has pushed all of the image: what is in it, it knows. */
  async isPushedBy(account: string, image: ImageId): Promise<boolean> {
    return await this.#has(imagePusherKey(image, account));
  }

  /** Whether it is noted of any repository or account that it has the image. */
  async isAnybodys(image: ImageId): Promise<boolean> {
    for (const prefix of [imageRepositoriesPrefix(image), imagePushersPrefix(image)]) {
      for await (const _ of this.#driver.children(prefix)) return true;
    }
    return false;
  }

  /** The repositories that have it, as far as that was noted. */
  async *repositoriesOf(image: ImageId): AsyncGenerator<RepositoryName> {
    const prefix = imageRepositoriesPrefix(image);
    for await (const namespace of this.#driver.children(prefix)) {
      for await (const name of this.#driver.children(`${prefix}/${namespace}`)) {
        const repository = repositoryOfFolders(namespace, name);
        if (repository) yield repository;
      }
    }
  }

  async #note(key: string): Promise<void> {
    if (await this.#has(key)) return;
    await this.#documents.write(key, "");
    this.#known.set(key, true);
  }

  async #has(key: string): Promise<boolean> {
    if (this.#known.has(key)) return true;
    const isThere = await this.#documents.has(key);
    if (isThere) this.#known.set(key, true);
    return isThere;
  }
}
