import { RegistryError } from "../../errors.ts";
import { parseTagName, type ImageId, type RepositoryName, type TagName } from "../names.ts";
import type { OciTag } from "../oci-names.ts";
import type { OciTags } from "../oci-tags.ts";
import { notFound, type Tag, type Tags } from "../tags.ts";
import type { Bridge } from "./bridge.ts";
import { ociNamesOf, ociTagOf } from "./names.ts";
import type { SharedRepositories } from "./shared-repositories.ts";

/** What V1 clients ask of tags. */
export type TagsOfV1 = Pick<Tags, "list" | "image" | "put" | "delete" | "json" | "repositoryJson">;

/** The tags of a repository as V1 clients see them: V2's that are images, and those of V1 that V2 has not. */
export class SharedTags implements TagsOfV1 {
  readonly #own: Tags;
  readonly #ociTags: OciTags;
  readonly #repositories: SharedRepositories;
  readonly #bridge: Bridge;

  constructor(parts: {
    /** Each protocol's own. */
    readonly tags: Tags;
    readonly ociTags: OciTags;
    readonly repositories: SharedRepositories;
    readonly bridge: Bridge;
  }) {
    this.#own = parts.tags;
    this.#ociTags = parts.ociTags;
    this.#repositories = parts.repositories;
    this.#bridge = parts.bridge;
  }

  /** What V1 clients can't use is left out. Rejects with REPOSITORY_UNKNOWN when neither protocol knows the repository. */
  async list(repository: RepositoryName): Promise<readonly Tag[]> {
    const inV1 = await this.#repositories.existsInV1(repository);
    if (!inV1 && !(await this.#repositories.exists(repository))) throw new RegistryError("REPOSITORY_UNKNOWN");
    const tags = new Map<string, Tag | undefined>();
    for await (const { name, image } of this.#bridge.tagsOfV2(repository)) tags.set(name, image && { name, image });
    if (inV1) for (const tag of await this.#own.list(repository)) if (!tags.has(tag.name)) tags.set(tag.name, tag);
    return [...tags.values()].filter((tag) => tag !== undefined);
  }

  /** Rejects with TAG_UNKNOWN, or with IMAGE_UNTRANSLATABLE when V2 has the tag for what V1 clients can't use. */
  async image(repository: RepositoryName, tag: TagName): Promise<ImageId> {
    const ociTag = ociTagOf(tag);
    const image = ociTag && (await this.#bridge.imageOfTag(repository, ociTag));
    return image ?? (await this.#own.image(repository, tag));
  }

  /**
   * Points the tag at an image in both protocols. `json` is the document about who set it; for `latest` it is the
   * repository's too. Rejects with IMAGE_UNKNOWN.
   */
  async put(repository: RepositoryName, tag: TagName, image: ImageId, json: string): Promise<void> {
    const ociTag = ociTagOf(tag);
    const before = ociTag ? await this.#links(repository, ociTag) : [];
    await this.#own.put(repository, tag, image, json);
    for (const { name, tag: shadowing, digest } of before) {
      // What has been pushed meanwhile is newer.
      if ((await this.#ociTags.digest(name, shadowing)) === digest) await this.#ociTags.remove(name, shadowing);
    }
    this.#bridge.prepareLater(image);
  }

  /** Removes the tag in both protocols; V1's first: it would come forth when V2's is gone. Rejects with TAG_UNKNOWN. */
  async delete(repository: RepositoryName, tag: TagName): Promise<void> {
    let found = await this.#own.remove(repository, tag);
    const ociTag = ociTagOf(tag);
    const names = ociTag ? ociNamesOf(repository) : [];
    for (const name of names) if (ociTag && (await this.#ociTags.remove(name, ociTag))) found = true;
    if (!found) throw notFound(tag);
  }

  /** The document about who set the tag, byte for byte, or undefined: of tags that were pushed through V2 there is none. */
  async json(repository: RepositoryName, tag: TagName): Promise<Buffer | undefined> {
    return (await this.#isOfV2(repository, tag)) ? undefined : await this.#own.json(repository, tag);
  }

  /** The document of `latest`, byte for byte, or undefined. */
  async repositoryJson(repository: RepositoryName): Promise<Buffer | undefined> {
    const isOfV2 = await this.#isOfV2(repository, parseTagName("latest"));
    return isOfV2 ? undefined : await this.#own.repositoryJson(repository);
  }

  async #isOfV2(repository: RepositoryName, tag: TagName): Promise<boolean> {
    const ociTag = ociTagOf(tag);
    return ociTag !== undefined && (await this.#links(repository, ociTag)).length > 0;
  }

  async #links(repository: RepositoryName, tag: OciTag) {
    const found = ociNamesOf(repository).map(async (name) => ({
      name,
      tag,
      digest: await this.#ociTags.digest(name, tag),
    }));
    return (await Promise.all(found)).filter(({ digest }) => digest !== undefined);
  }
}
