import type { StorageDriver } from "../../../drivers/storage/driver.ts";
import { groups } from "../groups.ts";
import { repositoryOfFolders, type RepositoryName } from "../names.ts";
import { isOciName, isOciTag, type OciName } from "../oci-names.ts";
import { repositoriesPrefix } from "../paths.ts";
import type { Tags } from "../tags.ts";
import { ordered } from "../merged.ts";
import { ociNamesOf, v1RepositoryOf } from "./names.ts";

/** So many repositories are looked into side by side. */
const atOnce = 16;

/** The repositories of V1 by the names that V2 has for them. */
export class V1Names {
  readonly #driver: StorageDriver;
  readonly #tags: Tags;

  constructor({ driver, tags }: { readonly driver: StorageDriver; readonly tags: Tags }) {
    this.#driver = driver;
    this.#tags = tags;
  }

  /** Whether V1 may have any repository. One lookup, and none where it is remembered. */
  async hasAny(): Promise<boolean> {
    for await (const folder of this.#driver.children(repositoriesPrefix)) return folder !== "";
    return false;
  }

  /**
   * The names of those with a tag that V2 can spell, in byte order, from the first beyond `after`. Of docker's own it is
   * `library/x`. The names of a namespace are read once for each thousand of them.
   */
  async *list(after: string): AsyncGenerator<OciName> {
    const isBeyond = (start: string) => start > after || after.startsWith(start);
    const namespaces = ordered(() => this.#namespaces(isBeyond), "");
    for await (const start of namespaces) {
      const names = ordered(() => this.#names(start.slice(0, -1)), after);
      for await (const group of groups(names, atOnce)) {
        const kinds = await Promise.all(group.map(async (name) => await this.hasTags(v1RepositoryOf(name as OciName))));
        yield* group.filter((name, index): name is OciName => kinds[index] === true && isOciName(name));
      }
    }
  }

  /** Whether the repository has a tag that V2 can spell. */
  async hasTags(repository: RepositoryName | undefined): Promise<boolean> {
    if (repository) for await (const tag of this.#tags.names(repository)) if (isOciTag(tag)) return true;
    return false;
  }

  /** The namespaces that may hold names beyond, each with its slash: `a-b/c` comes before `a/c`. */
  async *#namespaces(isBeyond: (start: string) => boolean): AsyncGenerator<string> {
    for await (const folder of this.#driver.children(repositoriesPrefix)) {
      if (isOciName(folder) && isBeyond(`${folder}/`)) yield `${folder}/`;
    }
  }

  async *#names(namespace: string): AsyncGenerator<string> {
    for await (const folder of this.#driver.children(`${repositoriesPrefix}/${namespace}`)) {
      const repository = repositoryOfFolders(namespace, folder);
      const [name] = repository ? ociNamesOf(repository) : [];
      if (name !== undefined) yield name;
    }
  }
}
