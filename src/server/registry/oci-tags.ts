import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { RegistryError } from "../errors.ts";
import { isRepositoryFolder } from "./catalog.ts";
import { parseDigest, type Digest } from "./digest.ts";
import type { Documents } from "./documents.ts";
import { groups } from "./groups.ts";
import { isOciTag, type OciName, type OciTag } from "./oci-names.ts";
import { ociRepositoryPrefix, ociTagKey, ociTagPrefix, ociTagsPrefix } from "./paths.ts";

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

  /** The manifest that the tag names, or undefined. */
  async digest(name: OciName, tag: OciTag): Promise<Digest | undefined> {
    const link = await this.#documents.read(ociTagKey(name, tag));
    return link && parseDigest(link.toString("latin1").trim());
  }

  /** Rejects with MANIFEST_UNKNOWN. What the tag named stays. */
  async delete(name: OciName, tag: OciTag): Promise<void> {
    if (!(await this.#documents.delete(ociTagKey(name, tag)))) {
      throw new RegistryError("MANIFEST_UNKNOWN", { detail: `no tag ${tag}` });
    }
    for await (const { key } of this.#driver.list(ociTagPrefix(name, tag))) await this.#driver.delete(key);
  }

  /** The tags in byte order, from the first beyond `after`, which need not exist. */
  async *list(name: OciName, after?: string): AsyncGenerator<OciTag> {
    for await (const group of groups(this.#driver.children(ociTagsPrefix(name), after), atOnce)) {
      const tags = group.filter(isOciTag);
      const areThere = await Promise.all(tags.map(async (tag) => await this.#documents.has(ociTagKey(name, tag))));
      for (const [index, tag] of tags.entries()) if (areThere[index] === true) yield tag;
    }
  }

  /** Rejects with NAME_UNKNOWN when nothing was ever pushed to the repository, or all of it is gone. */
  async requireRepository(name: OciName): Promise<void> {
    if (!(await isRepositoryFolder(this.#driver, ociRepositoryPrefix(name)))) throw new RegistryError("NAME_UNKNOWN");
  }
}
