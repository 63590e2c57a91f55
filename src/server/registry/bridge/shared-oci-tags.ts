import { invalidWatch, type Watch } from "../../../drivers/storage/watches.ts";
import { RegistryError } from "../../errors.ts";
import type { Digest } from "../digest.ts";
import type { RepositoryName } from "../names.ts";
import { isOciTag, type OciName, type OciTag } from "../oci-names.ts";
import { noTag, type OciTags } from "../oci-tags.ts";
import { repositoryFolders } from "../paths.ts";
import type { Repositories } from "../repositories.ts";
import type { Tags } from "../tags.ts";
import type { Bridge } from "./bridge.ts";
import { merged } from "../merged.ts";
import { v1RepositoryOf, v1TagOf } from "./names.ts";
import type { V1Names } from "./v1-names.ts";

/** The tags of a repository as V2 clients see them: V2's, and those of V1 that V2 has not. */
export class SharedOciTags implements Pick<OciTags, "digest" | "delete" | "remove" | "naming" | "list"> {
  readonly #own: OciTags;
  readonly #tags: Tags;
  readonly #repositories: Repositories;
  readonly #v1Names: V1Names;
  readonly #bridge: Bridge;

  constructor(parts: {
    /** Each protocol's own. */
    readonly ociTags: OciTags;
    readonly tags: Tags;
    readonly repositories: Repositories;
    readonly v1Names: V1Names;
    readonly bridge: Bridge;
  }) {
    this.#own = parts.ociTags;
    this.#tags = parts.tags;
    this.#repositories = parts.repositories;
    this.#v1Names = parts.v1Names;
    this.#bridge = parts.bridge;
  }

  /**
   * The manifest that the tag names, or undefined. What the answer depends on is added to `watch`. Rejects with
   * MANIFEST_UNKNOWN or IMAGE_UNTRANSLATABLE, which say why, when the image of a tag of V1 can't be shown.
   */
  async digest(name: OciName, tag: OciTag, watch: Watch = invalidWatch): Promise<Digest | undefined> {
    return (await this.#own.digest(name, tag, watch)) ?? (await this.#bridge.manifestOfTag(name, tag, watch));
  }

  /** Removes the tag in both protocols. Rejects with MANIFEST_UNKNOWN. */
  async delete(name: OciName, tag: OciTag): Promise<void> {
    if (!(await this.remove(name, tag))) throw noTag(tag);
  }

  /** V1's goes first: it would come forth when V2's is gone. */
  async remove(name: OciName, tag: OciTag): Promise<boolean> {
    const repository = v1RepositoryOf(name);
    const inV1 = repository !== undefined && (await this.#tags.remove(repository, v1TagOf(tag)));
    return (await this.#own.remove(name, tag)) || inV1;
  }

  /** The tags that name the manifest; of V1's those whose image has been translated. */
  async *naming(name: OciName, digest: Digest): AsyncGenerator<OciTag> {
    const repository = v1RepositoryOf(name);
    yield* this.#own.naming(name, digest);
    if (!repository) return;
    for (const tag of await this.#v1Tags(repository)) {
      const image = await this.#tags.find(repository, v1TagOf(tag));
      if (!image || (await this.#bridge.knownManifestOf(image)) !== digest) continue;
      if ((await this.#own.digest(name, tag)) === undefined) yield tag;
    }
  }

  /**
   * In byte order, from the first beyond `after`, which need not exist. What the answer depends on is added to `watch`.
   */
  async *list(name: OciName, after = "", watch: Watch = invalidWatch): AsyncGenerator<OciTag> {
    const repository = watchedRepository(name, watch);
    const own = this.#own.list(name, after, watch);
    const inV1 = repository ? await this.#v1Tags(repository, after) : [];
    yield* inV1.length === 0 ? own : merged(own, inV1);
  }

  /** Rejects with NAME_UNKNOWN when neither protocol knows the repository. What the answer depends on is added to `watch`. */
  async requireRepository(name: OciName, watch: Watch = invalidWatch): Promise<void> {
    if (await this.#own.hasRepository(name, watch)) return;
    const repository = watchedRepository(name, watch);
    if (!repository || !(await this.#repositories.exists(repository))) throw new RegistryError("NAME_UNKNOWN");
  }

  /** Those that V2 can spell, in byte order, beyond `after`. */
  async #v1Tags(repository: RepositoryName, after = ""): Promise<readonly OciTag[]> {
    const tags = new Set<OciTag>();
    if (!(await this.#v1Names.hasAny())) return [];
    for await (const tag of this.#tags.names(repository)) if (isOciTag(tag) && tag > after) tags.add(tag);
    return [...tags].sort();
  }
}

/** What V1 calls the repository; all that V1 has of it is watched. */
function watchedRepository(name: OciName, watch: Watch): RepositoryName | undefined {
  const repository = v1RepositoryOf(name);
  if (repository) for (const folder of repositoryFolders(repository)) watch.addBelow(folder);
  return repository;
}
