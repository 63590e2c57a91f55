import { RegistryError } from "../../errors.ts";
import { isObject, parseJson } from "../documents.ts";
import type { Events } from "../events.ts";
import { isImageId, repositoryText, type ImageId, type RepositoryName } from "../names.ts";
import type { OciTags } from "../oci-tags.ts";
import { pythonJson } from "../python-json.ts";
import type { Repositories, Visibility } from "../repositories.ts";
import type { Bridge } from "./bridge.ts";
import { ociNamesOf } from "./names.ts";

/** What V1's clients and access control ask of repositories. */
export type RepositoryStore = Omit<Pick<Repositories, keyof Repositories>, "remove" | "all"> & {
  /** Rejects with REPOSITORY_UNKNOWN. */
  delete(repository: RepositoryName): Promise<void>;
};

/** What V1 clients are told of repositories, whichever protocol they were pushed through. */
export class SharedRepositories implements RepositoryStore {
  readonly #own: Repositories;
  readonly #ociTags: OciTags;
  readonly #events: Events;
  readonly #bridge: Bridge;

  constructor(parts: {
    /** Each protocol's own. */
    readonly repositories: Repositories;
    readonly ociTags: OciTags;
    readonly events: Events;
    readonly bridge: Bridge;
  }) {
    this.#own = parts.repositories;
    this.#ociTags = parts.ociTags;
    this.#events = parts.events;
    this.#bridge = parts.bridge;
  }

  async exists(repository: RepositoryName): Promise<boolean> {
    if (await this.existsInV1(repository)) return true;
    for (const name of ociNamesOf(repository)) if (await this.#ociTags.hasRepository(name)) return true;
    return false;
  }

  async existsInV1(repository: RepositoryName): Promise<boolean> {
    return await this.#own.exists(repository);
  }

  /**
   * The list of images: as the last PUT left it, byte for byte, and the images that V2's tags name. Rejects with
   * INDEX_IMAGES_UNKNOWN when there is neither.
   */
  async indexImages(repository: RepositoryName): Promise<Buffer> {
    const ofV2 = new Set<ImageId>();
    let isInV2 = false;
    for await (const { image } of this.#bridge.tagsOfV2(repository)) {
      isInV2 = true;
      if (image) ofV2.add(image);
    }
    if (!isInV2) return await this.#own.indexImages(repository);
    const stored = await this.#own.indexImages(repository).catch(absent);
    const list: unknown = (stored && parseJson(stored)) ?? [];
    const pushed: readonly unknown[] = Array.isArray(list) ? list : [];
    for (const entry of pushed) if (isObject(entry) && isImageId(entry["id"])) ofV2.delete(entry["id"]);
    if (stored && ofV2.size === 0) return stored;
    return Buffer.from(pythonJson([...pushed, ...[...ofV2].map((id) => ({ id }))]));
  }

  async putIndexImages(repository: RepositoryName, bytes: Buffer, list: readonly unknown[]): Promise<void> {
    await this.#own.putIndexImages(repository, bytes, list);
  }

  async visibility(repository: RepositoryName): Promise<Visibility> {
    return await this.#own.visibility(repository);
  }

  async setVisibility(repository: RepositoryName, visibility: Visibility): Promise<void> {
    await this.#own.setVisibility(repository, visibility);
  }

  async indexServerImages(repository: RepositoryName): Promise<readonly ImageId[]> {
    return await this.#own.indexServerImages(repository);
  }

  async setIndexServerImages(repository: RepositoryName, ids: readonly string[]): Promise<void> {
    await this.#own.setIndexServerImages(repository, ids);
  }

  /** Removes the repository from both protocols, V1 first; images and content stay. Rejects with REPOSITORY_UNKNOWN. */
  async delete(repository: RepositoryName): Promise<void> {
    let found = await this.#own.remove(repository);
    for (const name of ociNamesOf(repository)) if (await this.#ociTags.removeRepository(name)) found = true;
    if (!found) throw new RegistryError("REPOSITORY_UNKNOWN");
    for (const text of new Set([repositoryText(repository), ...ociNamesOf(repository)])) {
      await this.#events.emit({ type: "repository.deleted", repository: text });
    }
  }
}

function absent(error: unknown): undefined {
  if (error instanceof RegistryError && error.code === "INDEX_IMAGES_UNKNOWN") return undefined;
  throw error;
}
