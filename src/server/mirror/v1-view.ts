import { RegistryError } from "../errors.ts";
import { ociNamesOf, ociTagOf } from "../registry/bridge/names.ts";
import type { RepositoryStore } from "../registry/bridge/shared-repositories.ts";
import type { SharedTags, TagsOfV1 } from "../registry/bridge/shared-tags.ts";
import { groups } from "../registry/groups.ts";
import type { ImageId, RepositoryName, TagName } from "../registry/names.ts";
import type { OciName, OciTag } from "../registry/oci-names.ts";
import type { MirroredManifests } from "./manifests.ts";
import type { MirroredTags } from "./tags.ts";
import type { Upstreams } from "./upstreams.ts";

/** What V1 is served from when upstreams are mirrored. */
export interface V1ViewParts {
  readonly tags: SharedTags;
  readonly repositories: RepositoryStore;
  readonly manifests: Pick<MirroredManifests, "get">;
  readonly ociTags: Pick<MirroredTags, "list" | "requireRepository">;
  readonly upstreams: Upstreams;
}

/** A V1 client asks for all tags of a repository, and for the image of each; of more than so many, the first come. */
const mostTags = 100;
const atOnce = 8;

/** Lets V1 clients see the tags of upstreams: what a tag names is fetched as V2 has it, and the bridge makes images of it. */
export function v1View(parts: V1ViewParts): { readonly tags: TagsOfV1; readonly repositories: RepositoryStore } {
  const { tags, repositories, manifests, upstreams } = parts;
  const mirroredName = (repository: RepositoryName): OciName | undefined =>
    ociNamesOf(repository).find((name) => upstreams.find(name) !== undefined);

  const bringTag = async (name: OciName, tag: OciTag): Promise<unknown> =>
    await manifests.get(name, { kind: "tag", tag }).then(nothing, (error: unknown) => error);

  const bringAll = async (name: OciName): Promise<void> => {
    await parts.ociTags.requireRepository(name).catch(unlessUnknown);
    let count = 0;
    for await (const group of groups(parts.ociTags.list(name), atOnce)) {
      await Promise.all(group.map(async (tag) => await bringTag(name, tag)));
      count += group.length;
      if (count >= mostTags) return;
    }
  };

  return {
    tags: {
      ...delegating(tags),
      image: async (repository: RepositoryName, tag: TagName): Promise<ImageId> => {
        const [name, ociTag] = [mirroredName(repository), ociTagOf(tag)];
        const problem = name && ociTag ? await bringTag(name, ociTag) : undefined;
        return await tags.image(repository, tag).catch((error: unknown) => {
          throw isUpstreams(problem) ? problem : error;
        });
      },
      list: async (repository) => {
        const name = mirroredName(repository);
        if (name) await bringAll(name);
        return await tags.list(repository);
      },
    },
    repositories: {
      ...delegatingRepositories(repositories),
      indexImages: async (repository) => {
        const name = mirroredName(repository);
        try {
          return await repositories.indexImages(repository);
        } catch (error) {
          if (!name || !isUnknown(error, "INDEX_IMAGES_UNKNOWN")) throw error;
          await parts.ociTags.requireRepository(name).catch((problem: unknown) => {
            throw isUpstreams(problem) ? problem : error;
          });
          // Which images they are is told with the tags.
          return Buffer.from("[]");
        }
      },
    },
  };
}

function delegating(tags: SharedTags): Omit<TagsOfV1, "image" | "list"> {
  return {
    put: tags.put.bind(tags),
    delete: tags.delete.bind(tags),
    json: tags.json.bind(tags),
    repositoryJson: tags.repositoryJson.bind(tags),
  };
}

function delegatingRepositories(repositories: RepositoryStore): Omit<RepositoryStore, "indexImages"> {
  return {
    exists: repositories.exists.bind(repositories),
    putIndexImages: repositories.putIndexImages.bind(repositories),
    visibility: repositories.visibility.bind(repositories),
    setVisibility: repositories.setVisibility.bind(repositories),
    indexServerImages: repositories.indexServerImages.bind(repositories),
    setIndexServerImages: repositories.setIndexServerImages.bind(repositories),
    delete: repositories.delete.bind(repositories),
  };
}

/** Whether an upstream did not tell what it has. */
function isUpstreams(error: unknown): boolean {
  return error instanceof RegistryError && error.code.startsWith("MIRROR_SOURCE_");
}

function isUnknown(error: unknown, code: RegistryError["code"]): boolean {
  return error instanceof RegistryError && error.code === code;
}

function unlessUnknown(error: unknown): void {
  if (!isUnknown(error, "NAME_UNKNOWN")) throw error;
}

function nothing(): undefined {
  return undefined;
}
