import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import { RegistryError } from "../errors.ts";
import { isRepositoryFolder } from "./catalog.ts";
import { isDigest, type Digest } from "./digest.ts";
import type { Documents } from "./documents.ts";
import { groups } from "./groups.ts";
import { isOciTag, type OciName, type OciTag } from "./oci-names.ts";
import {
  ociContentFolders,
  ociReferrersPrefix,
  ociRepositoryPrefix,
  ociTagKey,
  ociTagPrefix,
  ociTagsPrefix,
} from "./paths.ts";

/** What the tags of repositories are listed from. */
export interface TagStore {
  /** Rejects with NAME_UNKNOWN. `warn` is told what clients should know of the list. */
  requireRepository(name: OciName, watch?: Watch, warn?: (warning: string) => void): Promise<void>;
  /** In byte order, from the first beyond `after`. */
  list(name: OciName, after?: string, watch?: Watch): AsyncIterable<OciTag>;
  /** Rejects with MANIFEST_UNKNOWN. */
  delete(name: OciName, tag: OciTag): Promise<void>;
}

/** So many tags are looked at side by side. */
const atOnce = 16;

/** The tags of repositories in CNCF Distribution's layout. */
export class OciTags {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;

  constructor(driver: StorageDriver, documents: Documents) {
    this.#driver = driver;
    this.#documents = documents;
  }

  /**
   * The manifest that the tag names, or undefined; that too where a power cut has left another registry's link empty. What
   * the answer depends on is added to `watch`.
   */
  async digest(name: OciName, tag: OciTag, watch: Watch = invalidWatch): Promise<Digest | undefined> {
    watch.add(ociTagKey(name, tag));
    const link = (await this.#documents.read(ociTagKey(name, tag)))?.toString("latin1").trim() ?? "";
    return isDigest(link) ? link : undefined;
  }

  /** Rejects with MANIFEST_UNKNOWN. What the tag named stays. */
  async delete(name: OciName, tag: OciTag): Promise<void> {
    if (!(await this.remove(name, tag))) throw noTag(tag);
  }

  /** As `delete`, but answers whether there was one. */
  async remove(name: OciName, tag: OciTag): Promise<boolean> {
    if (!(await this.#documents.delete(ociTagKey(name, tag)))) return false;
    for await (const { key } of this.#driver.list(ociTagPrefix(name, tag))) await this.#driver.delete(key);
    return true;
  }

  /** The tags that name the manifest, in byte order. */
  async *naming(name: OciName, digest: Digest): AsyncGenerator<OciTag> {
    for await (const group of groups(this.#driver.children(ociTagsPrefix(name)), atOnce)) {
      const tags = group.filter(isOciTag);
      const named = await Promise.all(tags.map(async (tag) => await this.digest(name, tag)));
      for (const [index, tag] of tags.entries()) if (named[index] === digest) yield tag;
    }
  }

  /**
   * The tags in byte order, from the first beyond `after`, which need not exist. What the answer depends on is added to
   * `watch`.
   */
  async *list(name: OciName, after?: string, watch: Watch = invalidWatch): AsyncGenerator<OciTag> {
    watch.addBelow(ociTagsPrefix(name));
    for await (const group of groups(this.#driver.children(ociTagsPrefix(name), after), atOnce)) {
      const tags = group.filter(isOciTag);
      const areThere = await Promise.all(tags.map(async (tag) => await this.#documents.has(ociTagKey(name, tag))));
      for (const [index, tag] of tags.entries()) if (areThere[index] === true) yield tag;
    }
  }

  /** Rejects with NAME_UNKNOWN when nothing was ever pushed to the repository, or all of it is gone. */
  async requireRepository(name: OciName): Promise<void> {
    if (!(await this.hasRepository(name))) throw new RegistryError("NAME_UNKNOWN");
  }

  /** What the answer depends on is added to `watch`. */
  async hasRepository(name: OciName, watch: Watch = invalidWatch): Promise<boolean> {
    watch.addBelow(ociRepositoryPrefix(name));
    return await isRepositoryFolder(this.#driver, ociRepositoryPrefix(name));
  }

  /** Removes the repository: its tags first, then what it has; the content of that stays. Answers whether there was one. */
  async removeRepository(name: OciName): Promise<boolean> {
    let found = false;
    const folders = [
      ociTagsPrefix(name),
      ...ociContentFolders.map((folder) => `${ociRepositoryPrefix(name)}/${folder}`),
    ];
    for (const folder of [...folders, ociReferrersPrefix(name)]) {
      for await (const entries of groups(this.#driver.list(folder), atOnce)) {
        found = true;
        await Promise.all(entries.map(async ({ key }) => this.#driver.delete(key)));
      }
    }
    return found;
  }
}

/** What is told of a tag that is not there. */
export function noTag(tag: OciTag): RegistryError {
  return new RegistryError("MANIFEST_UNKNOWN", { detail: `no tag ${tag}` });
}
