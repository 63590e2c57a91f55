import { RegistryError } from "../../errors.ts";
import { ociNamesOf, ociTagOf } from "../../registry/bridge/names.ts";
import { placeOf, type Problem } from "../../registry/bridge/problems.ts";
import { V1Walk } from "../../registry/bridge/v1-walk.ts";
import { isObject, parseJson } from "../../registry/documents.ts";
import { isImageId, parseTagName, type ImageId, type RepositoryName, type TagName } from "../../registry/names.ts"; // prettier-ignore
import type { OciName, OciTag } from "../../registry/oci-names.ts";
import { ociTagKey, repositoryKeys, tagJsonKeys, tagKeys, type RepositoryFile } from "../../registry/paths.ts";
import type { Tally } from "./counts.ts";
import type { ImageCopy } from "./images.ts";
import { inLanes } from "./lanes.ts";
import { NotCopied } from "./not-copied.ts";
import type { RepositoryOptions } from "./oci-repository.ts";
import type { CopyParts } from "./parts.ts";
import type { Side } from "./side.ts";
import type { CopySink } from "./sink.ts";

/** Tags and images that are looked at side by side. */
const atOnce = 16;

/**
 * Copies a repository of V1: first that it is private, then its images and the list of them, then its tags. To be called
 * when what V2 has under its name is there: tags of V2 hide those of V1.
 */
export class V1RepositoryCopy {
  readonly #from: Side;
  readonly #to: Side;
  readonly #sink: CopySink;
  readonly #tally: Tally;
  readonly #images: ImageCopy;
  readonly #options: RepositoryOptions;
  readonly #walk: V1Walk;

  constructor(parts: Omit<CopyParts, "verify"> & { readonly images: ImageCopy; readonly options: RepositoryOptions }) {
    this.#from = parts.from;
    this.#to = parts.to;
    this.#sink = parts.sink;
    this.#tally = parts.tally;
    this.#images = parts.images;
    this.#options = parts.options;
    this.#walk = new V1Walk({ ...parts.from, tags: parts.from.own.tags });
  }

  /** Answers whether any of its tags has changed. Rejects as the storages do. */
  async copy(repository: RepositoryName): Promise<boolean> {
    this.#tally.repositories.v1++;
    await this.#missing(repository, "_private");
    await this.#missing(repository, "_images_list");
    await this.#index(repository);
    let changed = false;
    await this.#each(this.#walk.tags(repository), async (tag) => {
      if (await this.#told(repository, tag)) changed = true;
      this.#options.onTag();
    });
    return changed;
  }

  async #each<T>(items: AsyncIterable<T> | Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
    await inLanes(items, { atOnce, signal: this.#options.signal }, work);
  }

  /** A document that the target lacks. */
  async #missing(repository: RepositoryName, file: RepositoryFile): Promise<void> {
    const keys = repositoryKeys(repository, file);
    const bytes = await this.#from.documents.read(...keys);
    if (bytes && !(await this.#to.documents.has(...keys))) await this.#sink.document(keys[0], bytes);
  }

  /** The list of images, which names some that are still to be pushed. Those that the target has of its own stay in it. */
  async #index(repository: RepositoryName): Promise<void> {
    const keys = repositoryKeys(repository, "_index_images");
    const bytes = await this.#from.documents.read(...keys);
    if (!bytes) return;
    const listed = entriesOf(parseJson(bytes));
    await this.#each(listed, async ({ id }) => {
      if (isImageId(id)) await this.#listedImage(id);
    });
    const there = await this.#to.documents.readJson(...keys);
    if (there === undefined) {
      await this.#sink.document(keys[0], bytes);
      return;
    }
    const known = new Set(entriesOf(there).map(({ id }) => id));
    if (listed.every(({ id }) => known.has(id))) return;
    await this.#sink.merge(async () => {
      await this.#to.own.repositories.putIndexImages(repository, bytes, listed);
    });
  }

  /** That one is not whole matters to those tags that lead to it. */
  async #listedImage(id: ImageId): Promise<void> {
    try {
      await this.#images.ensure(id);
    } catch (error) {
      if (!(error instanceof NotCopied)) throw error;
    }
  }

  /** Answers whether the tag has changed; tells why it is not copied, unless it has been removed meanwhile. */
  async #told(repository: RepositoryName, tag: string): Promise<boolean> {
    try {
      return await this.#tag(repository, tagNameOf(tag));
    } catch (error) {
      if (!(error instanceof NotCopied)) throw error;
      const place: Partial<Problem> = placeOf(repository, tag);
      for await (const still of this.#walk.tags(repository)) {
        if (still === tag) this.#options.onProblem(error.of("the tag", place));
      }
      return false;
    }
  }

  async #tag(repository: RepositoryName, tag: TagName): Promise<boolean> {
    const image = await this.#from.own.tags.find(repository, tag);
    if (!image) throw new NotCopied("tag-dangling", "the tag names no image", {});
    const [before, hidden] = await Promise.all([
      this.#to.own.tags.find(repository, tag),
      this.#hiding(repository, tag),
    ]);
    const { tags } = this.#tally;
    if (this.#options.keepTags && (hidden.length > 0 || (before !== undefined && before !== image))) {
      tags.kept++;
      return false;
    }
    await this.#images.ensure(image);
    if (before !== image) await this.#write(repository, tag, image);
    // As a server does when a tag is set through V1.
    for (const { name, tag: hiding } of hidden) {
      await this.#sink.merge(async () => await this.#to.own.ociTags.remove(name, hiding));
    }
    const isThere = before === image && hidden.length === 0;
    tags[isThere ? "there" : before !== undefined || hidden.length > 0 ? "replaced" : "copied"]++;
    return !isThere;
  }

  async #write(repository: RepositoryName, tag: TagName, image: ImageId): Promise<void> {
    const { own, documents } = this.#from;
    const json = await own.tags.json(repository, tag);
    if (json) await this.#sink.document(tagJsonKeys(repository, tag)[0], json);
    const latest = tag === "latest" ? await documents.read(...repositoryKeys(repository, "json")) : undefined;
    if (latest) await this.#sink.document(repositoryKeys(repository, "json")[0], latest);
    await this.#sink.document(tagKeys(repository, tag)[0], image);
  }

  /** Tags of V2 in the target that the source has not: its own V1 tag counts there, and would be hidden here. */
  async #hiding(repository: RepositoryName, tag: TagName) {
    const ociTag = ociTagOf(tag);
    const found: { readonly name: OciName; readonly tag: OciTag }[] = [];
    if (!ociTag) return found;
    const names = ociNamesOf(repository);
    for (const name of names) if (await this.#from.documents.has(ociTagKey(name, ociTag))) return [];
    for (const name of names)
      if (await this.#to.documents.has(ociTagKey(name, ociTag))) found.push({ name, tag: ociTag });
    return found;
  }
}

function tagNameOf(text: string): TagName {
  try {
    return parseTagName(text);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== "TAG_INVALID") throw error;
    throw new NotCopied("tag-dangling", "no client can spell the tag", {}, { cause: error });
  }
}

function entriesOf(list: unknown): readonly { readonly id: string }[] {
  if (!Array.isArray(list)) return [];
  return list.filter((entry: unknown): entry is { id: string } => isObject(entry) && typeof entry["id"] === "string");
}
