import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { isOciName, type OciName } from "./oci-names.ts";
import { ociContentFolders, ociRepositoriesPrefix, ociReservedPrefix } from "./paths.ts";

/** The repositories of a store in CNCF Distribution's layout. */
export class Catalog {
  readonly #driver: StorageDriver;

  constructor(driver: StorageDriver) {
    this.#driver = driver;
  }

  /**
   * The names in byte order, from the first beyond `after`, which need not exist. Of the store only the folders on the way
   * to them are read.
   */
  async *list(after = ""): AsyncGenerator<OciName> {
    yield* this.#below("", after);
  }

  /**
   * The names below a folder. `a-b` comes between `a` and `a/b`, so the folders of `a` wait until no name is left that goes
   * before them; all that wait at one time begin with each other.
   */
  async *#below(folder: string, after: string): AsyncGenerator<OciName> {
    const waiting: string[] = [];
    const prefix = folder === "" ? ociRepositoriesPrefix : `${ociRepositoriesPrefix}/${folder}`;
    for await (const child of this.#driver.children(prefix, firstChild(folder, after))) {
      if (child.startsWith(ociReservedPrefix)) continue;
      const name = folder === "" ? child : `${folder}/${child}`;
      while (waiting.length > 0 && `${waiting.at(-1) ?? ""}/` < name) yield* this.#below(waiting.pop() ?? "", after);
      if (name > after && isOciName(name) && (await this.#isRepository(name))) yield name;
      if (`${name}/\uffff` > after) waiting.push(name);
    }
    for (const name of waiting.reverse()) yield* this.#below(name, after);
  }

  async #isRepository(name: string): Promise<boolean> {
    for await (const child of this.#driver.children(`${ociRepositoriesPrefix}/${name}`)) {
      if (ociContentFolders.includes(child)) return true;
    }
    return false;
  }
}

/**
 * Where to begin among the children of a folder: a child that is a prefix of `after` has names behind it in its own
 * folders, so the listing begins before the shortest of these.
 */
function firstChild(folder: string, after: string): string | undefined {
  const start = folder === "" ? "" : `${folder}/`;
  if (!after.startsWith(start)) return undefined;
  const [next = ""] = after.slice(start.length).split(/[^a-z0-9]/);
  return next === "" ? undefined : next.slice(0, -1) || undefined;
}
