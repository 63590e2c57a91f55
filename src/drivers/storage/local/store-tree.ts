import type { Stats } from "node:fs";
import { dirname, join } from "node:path";
import { DriverError } from "../errors.ts";
import { statName } from "./calls.ts";
import { notFound, readFailure } from "./failure.ts";
import type { Folders } from "./folders.ts";
import { strayPrefix } from "./temporaries.ts";
import type { Tree } from "./walk.ts";

/** The folder of a store that is the registry's own, and the one in it that holds no objects. */
export const ownFolder = "_registryctl";
export const temporaryFolder = "tmp";
/** In bytes, as Linux has them. */
const longestName = 255;
const longestPath = 4_095;

/** Where the objects of a local store lie, and which of its files are none. */
export class StoreTree implements Tree {
  readonly root: string;
  readonly #folders: Folders;

  constructor(folders: Folders) {
    this.root = folders.root;
    this.#folders = folders;
  }

  hides(folder: string, name: string): boolean {
    return name.startsWith(strayPrefix) || (name === temporaryFolder && folder === join(this.root, ownFolder));
  }

  /**
   * Where the object lies. Keys of what is hidden are refused, and those too long, before folders are made for them.
   */
  path(key: string): string {
    const path = join(this.root, key);
    const names = key.split("/");
    const reserved = names[0] === ownFolder && names[1] === temporaryFolder;
    const impossible = names.some((name) => name.startsWith(strayPrefix) || Buffer.byteLength(name) > longestName);
    if (reserved || impossible || key.includes("\0") || Buffer.byteLength(path) > longestPath) {
      throw new DriverError("INVALID_KEY", `${JSON.stringify(key)} can't name an object of a local store`);
    }
    return path;
  }

  /** Rejects with NOT_FOUND. */
  async file(key: string): Promise<Stats> {
    const path = this.path(key);
    try {
      const file = await statName(path);
      if (file.isFile() && (await this.#folders.isPlain(dirname(path)))) return file;
    } catch (error) {
      throw readFailure(key, error);
    }
    throw notFound(key);
  }

  /** The folder of a prefix, or undefined when there is none. */
  async folder(prefix: string): Promise<string | undefined> {
    if (prefix === "") return this.root;
    try {
      const path = this.path(prefix);
      return (await this.#folders.isPlain(path)) ? path : undefined;
    } catch (error) {
      const failure = readFailure(prefix, error);
      if (failure.code === "NOT_FOUND") return undefined;
      throw failure;
    }
  }
}
