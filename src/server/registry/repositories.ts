import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { RegistryError } from "../errors.ts";
import type { Events } from "./events.ts";
import { groups } from "./groups.ts";
import { isObject, type Documents } from "./documents.ts";
import type { Turns } from "./keyed-lock.ts";
import { isImageId, repositoryOfFolders, repositoryText, type ImageId, type RepositoryName } from "./names.ts";
import { repositoriesPrefix, repositoryFolders, repositoryKeys } from "./paths.ts";
import { pythonJson } from "./python-json.ts";

/** How many objects of a repository are deleted at the same time. */
const atOnce = 32;

/** Who may see a repository, as the original's properties have it. */
export type Visibility = "public" | "private";

/** What V1 keeps of a repository beside its tags: the list of its images and whether it is private. */
export class Repositories {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #events: Events;
  readonly #turns: Turns;

  constructor(parts: {
    readonly driver: StorageDriver;
    readonly documents: Documents;
    readonly events: Events;
    readonly turns: Turns;
  }) {
    this.#driver = parts.driver;
    this.#documents = parts.documents;
    this.#events = parts.events;
    this.#turns = parts.turns;
  }

  /** Whether V1 has anything of the repository. */
  async exists(repository: RepositoryName): Promise<boolean> {
    for (const folder of repositoryFolders(repository)) if (await this.#holdsAny(folder)) return true;
    return false;
  }

  /** The list of images as the last PUT left it, byte for byte. Rejects with INDEX_IMAGES_UNKNOWN. */
  async indexImages(repository: RepositoryName): Promise<Buffer> {
    const bytes = await this.#documents.read(...repositoryKeys(repository, "_index_images"));
    if (!bytes) throw new RegistryError("INDEX_IMAGES_UNKNOWN");
    return bytes;
  }

  /**
   * The first list is kept byte for byte. Later ones are merged: by id, new entries first; of the entries with one id the
   * first that has a checksum counts, and only id and checksum are kept. Rejects with DATA_INVALID when one of the new
   * entries has no id; what has none in the first list, which nobody checked, is left out.
   */
  async putIndexImages(repository: RepositoryName, bytes: Buffer, list: readonly unknown[]): Promise<void> {
    const keys = repositoryKeys(repository, "_index_images");
    await this.#turns.run(keys[0], async () => {
      const stored = await this.#documents.readJson(...keys);
      const merged = Array.isArray(stored) ? pythonJson(mergedImages(list, stored)) : bytes;
      await this.#documents.write(keys[0], merged);
    });
    await this.#events.emit({ type: "repository.updated", repository: repositoryText(repository) });
  }

  async visibility(repository: RepositoryName): Promise<Visibility> {
    return (await this.#documents.has(...repositoryKeys(repository, "_private"))) ? "private" : "public";
  }

  async setVisibility(repository: RepositoryName, visibility: Visibility): Promise<void> {
    const keys = repositoryKeys(repository, "_private");
    if (visibility === "private") await this.#documents.write(keys[0], "");
    else await this.#documents.delete(...keys);
  }

  /** The ids that the index server named for the repository when it last vouched for a token; none if it never did. */
  async indexServerImages(repository: RepositoryName): Promise<readonly ImageId[]> {
    const stored = await this.#documents.readJson(...repositoryKeys(repository, "_images_list"));
    return Array.isArray(stored) ? stored.filter(isImageId) : [];
  }

  /** Keeps the list. It is told with every request, and seldom news: the same list is not written again. */
  async setIndexServerImages(repository: RepositoryName, ids: readonly string[]): Promise<void> {
    const [key] = repositoryKeys(repository, "_images_list");
    const list = pythonJson(ids);
    if ((await this.#documents.read(key))?.toString() !== list) await this.#documents.write(key, list);
  }

  /** Removes all that names the repository; its images stay. Answers whether there was anything. */
  async remove(repository: RepositoryName): Promise<boolean> {
    let found = false;
    for (const folder of repositoryFolders(repository)) {
      for await (const entries of groups(this.#driver.list(folder), atOnce)) {
        found = true;
        await Promise.all(
          entries.map(async ({ key }) => {
            await this.#driver.delete(key);
          }),
        );
      }
    }
    return found;
  }

  /** Every repository of the store, each once. */
  async *all(): AsyncGenerator<RepositoryName> {
    for await (const namespaceFolder of this.#driver.children(repositoriesPrefix)) {
      for await (const nameFolder of this.#driver.children(`${repositoriesPrefix}/${namespaceFolder}`)) {
        const repository = repositoryOfFolders(namespaceFolder, nameFolder);
        const isItsFolder = repository && (await this.#isFirstFolder(repository, namespaceFolder, nameFolder));
        if (isItsFolder) yield repository;
      }
    }
  }

  /** Whether no other folder of the repository, which may have two, comes before this one. */
  async #isFirstFolder(repository: RepositoryName, namespaceFolder: string, nameFolder: string): Promise<boolean> {
    const folders = repositoryFolders(repository);
    const index = folders.indexOf(`${repositoriesPrefix}/${namespaceFolder}/${nameFolder}`);
    return index === 0 || (index > 0 && !(await this.#holdsAny(folders[0])));
  }

  async #holdsAny(folder: string): Promise<boolean> {
    for await (const child of this.#driver.children(folder)) return child !== "";
    return false;
  }
}

interface IndexEntry {
  readonly id: string;
  readonly checksum?: string;
}

function mergedImages(list: readonly unknown[], stored: readonly unknown[]): readonly IndexEntry[] {
  const added = list.map(indexEntry);
  if (added.includes(undefined)) throw new RegistryError("DATA_INVALID");
  const byId = new Map<string, IndexEntry>();
  for (const entry of [...added, ...stored.map(indexEntry)]) {
    if (entry && byId.get(entry.id)?.checksum === undefined) byId.set(entry.id, entry);
  }
  return [...byId.values()];
}

function indexEntry(value: unknown): IndexEntry | undefined {
  if (!isObject(value) || typeof value["id"] !== "string") return undefined;
  const { id, checksum } = value;
  return typeof checksum === "string" ? { id, checksum } : { id };
}
