import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import { groups } from "./groups.ts";
import { isOciName, type OciName } from "./oci-names.ts";
import { ociContentFolders, ociRepositoriesPrefix, ociReservedPrefix } from "./paths.ts";

/** So many folders are looked into side by side. */
const atOnce = 16;

/** The repositories of a store in CNCF Distribution's layout. */
export class Catalog {
  readonly #driver: StorageDriver;

  constructor(driver: StorageDriver) {
    this.#driver = driver;
  }

  /**
   * The names in byte order, from the first beyond `after`, which need not exist. Of the store only the folders on the way
   * to them are read, and not much further than they are taken. What the answer depends on is added to `watch`.
   */
  async *list(after = "", watch: Watch = invalidWatch): AsyncGenerator<OciName> {
    watch.addBelow(ociRepositoriesPrefix);
    yield* this.#below("", after);
  }

  /**
   * The names below a folder. `a-b` comes between `a` and `a/b`, so the folders of `a` wait until no name is left that goes
   * before them; all that wait at one time begin with each other.
   */
  async *#below(folder: string, after: string): AsyncGenerator<OciName> {
    const start = folder === "" ? "" : `${folder}/`;
    const rest = after.startsWith(start) ? after.slice(start.length) : "";
    const waiting = foldersAround(rest)
      .map((child) => start + child)
      .filter(isOciName);
    const children = this.#driver.children(prefixOf(folder), firstBeyond(rest));
    for await (const group of groups(children, atOnce)) {
      const names = group.map((child) => start + child).filter(isOciName);
      const kinds = await Promise.all(names.map(async (name) => await this.#look(name)));
      for (const [index, name] of names.entries()) {
        while (waiting.length > 0 && `${waiting.at(-1) ?? ""}/` < name) yield* this.#below(waiting.pop() ?? "", after);
        if (kinds[index]?.isRepository === true) yield name;
        if (kinds[index]?.hasFolders === true) waiting.push(name);
      }
    }
    for (const name of waiting.reverse()) yield* this.#below(name, after);
  }

  /** What a folder is: a repository, a folder of repositories, or both. */
  async #look(name: OciName): Promise<{ readonly isRepository: boolean; readonly hasFolders: boolean }> {
    let isRepository = false;
    for await (const child of this.#driver.children(prefixOf(name))) {
      if (ociContentFolders.includes(child)) isRepository = true;
      if (child.startsWith(ociReservedPrefix)) continue;
      if (child < ociReservedPrefix) isRepository = await isRepositoryFolder(this.#driver, prefixOf(name));
      return { isRepository, hasFolders: true };
    }
    return { isRepository, hasFolders: false };
  }
}

/** Whether the folder is that of a repository; however many folders of other repositories it holds. */
export async function isRepositoryFolder(driver: StorageDriver, prefix: string): Promise<boolean> {
  for await (const child of driver.children(prefix, ociReservedPrefix)) {
    if (ociContentFolders.includes(child)) return true;
    if (!child.startsWith(ociReservedPrefix)) return false;
  }
  return false;
}

function prefixOf(folder: string): string {
  return folder === "" ? ociRepositoriesPrefix : `${ociRepositoriesPrefix}/${folder}`;
}

/**
 * The folders that may stand before `rest` and yet hold names beyond it: what it begins with, up to a character before
 * `/` (`a/b` comes after `a-c`), and the folder that it lies in or names.
 */
function foldersAround(rest: string): string[] {
  const [first = ""] = rest.split("/", 1);
  const ends = [...first.matchAll(/[-.]/g)].map(({ index }) => index);
  return [...ends, first.length].map((end) => first.slice(0, end));
}

/** Behind which child the names beyond `rest` begin: of `a/b` behind all that starts with `a-` or `a.`. */
function firstBeyond(rest: string): string {
  const [first = ""] = rest.split("/", 1);
  return first === rest ? rest : `${first}.\uffff`;
}
