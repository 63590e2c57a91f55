import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { RegistryError } from "../errors.ts";
import { parseDigest, type Digest } from "./digest.ts";
import type { Documents } from "./documents.ts";
import { isOciTag, type OciName, type OciTag } from "./oci-names.ts";
import {
  ociContentFolders,
  ociRepositoryPrefix,
  ociTagIndexKey,
  ociTagKey,
  ociTagPrefix,
  ociTagsPrefix,
} from "./paths.ts";

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

  /** Points the tag at a manifest that the repository has. */
  async put(name: OciName, tag: OciTag, digest: Digest): Promise<void> {
    await this.#documents.write(ociTagIndexKey(name, tag, digest), digest);
    await this.#documents.write(ociTagKey(name, tag), digest);
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
    for await (const tag of this.#driver.children(ociTagsPrefix(name), after)) {
      if (isOciTag(tag) && (await this.#documents.has(ociTagKey(name, tag)))) yield tag;
    }
  }

  /** Rejects with NAME_UNKNOWN when nothing was ever pushed to the repository, or all of it is gone. */
  async requireRepository(name: OciName): Promise<void> {
    for await (const child of this.#driver.children(ociRepositoryPrefix(name))) {
      if (ociContentFolders.includes(child)) return;
    }
    throw new RegistryError("NAME_UNKNOWN");
  }
}
