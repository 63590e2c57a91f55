import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import { RegistryError } from "../errors.ts";
import { merged } from "../registry/merged.ts";
import type { RepositoryStore } from "../registry/bridge/shared-repositories.ts";
import type { TagsOfV1 } from "../registry/bridge/shared-tags.ts";
import { ociNamesOf, ociTagOf } from "../registry/bridge/names.ts";
import type { Images } from "../registry/images.ts";
import type { ManifestStore, Warn } from "../registry/manifests.ts";
import type { RepositoryName } from "../registry/names.ts";
import { isOciTag, type OciName, type OciTag, type Reference } from "../registry/oci-names.ts";
import type { TagStore } from "../registry/oci-tags.ts";
import { pythonJson } from "../registry/python-json.ts";
import type { Tag } from "../registry/tags.ts";
import { told, UpstreamFailure } from "./failure.ts";
import { warningOf } from "./manifests.ts";
import type { Upstreams } from "./upstreams.ts";
import type { V1Mirror, V1Origin } from "./v1-mirror.ts";

/** What V1 sources are served with, to clients of both protocols. */
export interface V1StoreParts {
  readonly v1: V1Mirror;
  readonly upstreams: Upstreams;
  /** Those that ask sources for images that aren't there. */
  readonly images: Images;
}

/** Manifests that the bridge makes of images of V1 sources, once their tag is asked for. */
export function manifestsOfV1(own: ManifestStore, { v1, upstreams, images }: V1StoreParts): ManifestStore {
  return {
    get: async (name: OciName, reference: Reference, watch: Watch = invalidWatch, warn?: Warn) => {
      const origin = upstreams.findV1(name);
      if (!origin || reference.kind === "digest") return await own.get(name, reference, watch, warn);
      watch.close();
      try {
        const id = await v1.image(origin, reference.tag, (reason) => warn?.(warningOf(new UpstreamFailure("broken", reason)))); // prettier-ignore
        await images.requireComplete(id);
      } catch (error) {
        // What was pushed here through V2 alone is not the source's.
        if (!isUnknown(error)) throw error;
      }
      return await own.get(name, reference, watch);
    },
    put: own.put.bind(own),
    delete: own.delete.bind(own),
  };
}

/** The tags that V2 clients see of repositories of V1 sources. */
export function ociTagsOfV1(own: TagStore, { v1, upstreams }: V1StoreParts): TagStore {
  return {
    requireRepository: async (name, watch, warn) => {
      const origin = upstreams.findV1(name);
      const remote = origin && (await v1.list(origin));
      if (remote && !(remote instanceof UpstreamFailure)) {
        watch?.close();
        return;
      }
      await own.requireRepository(name, watch, warn).catch((error: unknown) => {
        throw remote ? told(remote, "NAME_UNKNOWN") : error;
      });
      if (remote) warn?.(warningOf(remote));
    },
    list: async function* (name: OciName, after = "", watch?: Watch) {
      const origin = upstreams.findV1(name);
      const remote = origin && (await v1.list(origin));
      const all = remote instanceof UpstreamFailure ? [] : (remote ?? []);
      const tags = all.map((tag) => tag.name).filter((tag): tag is OciTag => isOciTag(tag) && tag > after);
      yield* merged(own.list(name, after, watch), tags.sort());
    },
    delete: own.delete.bind(own),
  };
}

/** The tags that V1 clients see of repositories of V1 sources. Their images come when they are asked for. */
export function tagsOfV1(own: TagsOfV1, { v1, upstreams }: V1StoreParts): TagsOfV1 {
  return {
    image: async (repository, tag) => {
      const [origin, ociTag] = [originOf(repository, upstreams), ociTagOf(tag)];
      if (!origin || ociTag === undefined) return await own.image(repository, tag);
      return await v1.image(origin, ociTag).catch(async (error: unknown) => {
        if (!isUnknown(error)) throw error;
        return await own.image(repository, tag);
      });
    },
    list: async (repository) => {
      const origin = originOf(repository, upstreams);
      const remote = origin && (await v1.list(origin));
      if (remote instanceof UpstreamFailure) return await withoutSource(own, repository, remote);
      if (!remote) return await own.list(repository);
      const here = await own.list(repository).catch(nothing);
      const kept = await Promise.all(here.map(async (tag) => ({ tag, isOurs: await v1.isPushed(origin, tag) })));
      const all = [...here.map((tag) => [tag.name, tag] as const), ...remote.map((tag) => [tag.name, tag] as const)];
      const ours = kept.filter(({ isOurs }) => isOurs).map(({ tag }) => [tag.name, tag] as const);
      return [...new Map([...all, ...ours]).values()];
    },
    put: own.put.bind(own),
    delete: own.delete.bind(own),
    json: own.json.bind(own),
    repositoryJson: own.repositoryJson.bind(own),
  };
}

/** The list of images of a repository that the source alone has: those that its tags name. */
export function repositoriesOfV1(
  own: RepositoryStore,
  tags: TagsOfV1,
  { v1, upstreams }: V1StoreParts,
): RepositoryStore {
  return {
    ...own,
    indexImages: async (repository) => {
      try {
        return await own.indexImages(repository);
      } catch (error) {
        const origin = originOf(repository, upstreams);
        const remote = origin && (await v1.list(origin));
        if (!remote) throw error;
        const all = remote instanceof UpstreamFailure ? await withoutSource(tags, repository, remote) : remote;
        return Buffer.from(pythonJson([...new Set(all.map(({ image }) => image))].map((id) => ({ id }))));
      }
    },
  };
}

/** The tags that are here of a source that does not tell its own. */
async function withoutSource(
  own: TagsOfV1,
  repository: RepositoryName,
  failure: UpstreamFailure,
): Promise<readonly Tag[]> {
  return await own.list(repository).catch((error: unknown) => {
    throw isUnknown(error) ? told(failure, "REPOSITORY_UNKNOWN") : error;
  });
}

function originOf(repository: RepositoryName, upstreams: Upstreams): V1Origin | undefined {
  for (const name of ociNamesOf(repository)) {
    const origin = upstreams.findV1(name);
    if (origin) return origin;
  }
  return undefined;
}

const unknowns: readonly string[] = ["TAG_UNKNOWN", "IMAGE_UNKNOWN", "REPOSITORY_UNKNOWN"];

function isUnknown(error: unknown): boolean {
  return error instanceof RegistryError && unknowns.includes(error.code);
}

function nothing(error: unknown): readonly [] {
  if (!isUnknown(error)) throw error;
  return [];
}
