import { constants, type Stats } from "node:fs";
import { lstat, mkdir, open, realpath, rm, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { z } from "zod";
import { option } from "../option.ts";
import { resolveRange } from "./byte-range.ts";
import { defineStorage } from "./define.ts";
import type { Append, ByteRange, Entry, Stat, StorageDriver } from "./driver.ts";
import { DriverError } from "./errors.ts";
import { exactly } from "./exact-size.ts";
import { appendToFile } from "./local/append.ts";
import { claimFolder } from "./local/claim.ts";
import { codeOf, notFound, readFailure, writeFailure } from "./local/failure.ts";
import { streamFile, writeFile } from "./local/file-content.ts";
import { Folders } from "./local/folders.ts";
import { FreeSpace } from "./local/free-space.ts";
import { isLink, linkDurably } from "./local/links.ts";
import { copyDurably, place } from "./local/placement.ts";
import { strayPrefix, Temporaries } from "./local/temporaries.ts";
import { walkNames, walkObjects, type Tree } from "./local/walk.ts";

const features = { redirect: false, localFiles: true } as const;

/**
 * Files below a folder: a key is a path. `storage_path` may be a symbolic link, and so may the names directly below it
 * that are folders (an operator moved `images` to another disk). No other link is followed, so nothing leads out of the
 * store: an object behind one does not exist, and a write to the link's own name replaces the link.
 */
export const local = defineStorage({
  name: "local",
  aliases: ["file"],
  summary: "Files in a folder of this machine.",
  features,
  options: z.object({
    storage_path: option(z.string().min(1).default("/tmp/registry"), {
      description: "Folder that the registry keeps its data in; made when it is missing.",
      env: ["STORAGE_PATH"],
    }),
    min_free: option(z.int().min(0).default(0), {
      description: "Bytes that have to be left on the disk for anything to be written.",
      env: ["STORAGE_MIN_FREE"],
    }),
    shared: option(z.boolean().default(false), {
      description: "Other programs or machines write to storage_path too: names are read from the disk each time.",
      env: ["STORAGE_SHARED"],
    }),
  }),
  claim: async ({ storage_path: path, shared }, member) =>
    await claimFolder(join(resolve(path), ownFolder, "servers"), member, shared ? "shared is on" : undefined),
  open: async ({ storage_path: path, min_free: minFree }) => await openLocal(path, minFree),
});

/**
 * Opens the store in the folder `path`, making it when it is missing. Removes what killed processes left, beside the
 * work.
 */
export async function openLocal(path: string, minFree = 0): Promise<StorageDriver> {
  try {
    await mkdir(path, { recursive: true });
    const root = await realpath(path);
    const temporaries = await Temporaries.in(join(root, ownFolder, temporaryFolder));
    return new LocalStorage(resolve(path), root, temporaries, new FreeSpace(root, minFree));
  } catch (error) {
    throw writeFailure(path, error);
  }
}

const ownFolder = "_registryctl";
const temporaryFolder = "tmp";
/** In bytes, as Linux has them. */
const longestName = 255;
const longestPath = 4_095;
/** Up to so many bytes an object is written at once: it is in memory as a whole before anything is done. */
const smallest = 65_536;

class LocalStorage implements StorageDriver, Tree {
  readonly name = "local";
  readonly features = features;
  readonly root: string;
  readonly #shownRoot: string;
  readonly #temporaries: Temporaries;
  readonly #folders: Folders;
  readonly #space: FreeSpace;
  readonly #cleaning: Promise<void>;

  constructor(shownRoot: string, root: string, temporaries: Temporaries, space: FreeSpace) {
    this.root = root;
    this.#shownRoot = shownRoot;
    this.#temporaries = temporaries;
    this.#folders = new Folders(root);
    this.#space = space;
    // Beside the work, not before it. What can't be removed now is tried again at the next start.
    this.#cleaning = temporaries.cleanUp().catch(() => undefined);
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const path = this.#path(key);
    let handle: FileHandle | undefined;
    try {
      // Without O_NONBLOCK, opening a pipe would wait for its writer.
      handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      const [file, plain] = await Promise.all([handle.stat(), this.#folders.isPlain(dirname(path))]);
      if (!plain || !file.isFile()) throw notFound(key);
      return streamFile(handle, resolveRange(range, file.size));
    } catch (error) {
      await handle?.close();
      throw readFailure(key, error);
    }
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    const path = this.#path(key);
    await this.#space.require();
    if (size !== undefined && size <= smallest) return await this.#writeSmall(key, await gathered(source, size));
    // In the store's own file system: there a rename is all or nothing.
    const temporary = await inWrite(key, this.#temporaries.create());
    try {
      let file: Stat;
      try {
        // The content must be on the disk before its name: after a power cut a name must not lead to an empty file.
        await writeFile(temporary.handle, key, exactly(source, size));
        const { size: written, mtime } = await temporary.handle.stat();
        file = { size: written, modified: mtime };
      } finally {
        await temporary.handle.close();
      }
      await inWrite(key, this.#place(temporary.path, path));
      return file;
    } catch (error) {
      await rm(temporary.path, { force: true });
      throw error;
    }
  }

  readonly append: Append = async (key, size, source) => {
    const path = this.#path(key);
    await this.#space.require();
    await appendToFile(path, key, { size, source }, this.#folders);
  };

  async stat(key: string): Promise<Stat> {
    const { size, mtime } = await this.#file(key);
    return { size, modified: mtime };
  }

  async *list(prefix: string, after = ""): AsyncGenerator<Entry> {
    const folder = await this.#folder(prefix);
    if (folder !== undefined) yield* walkObjects(folder, prefix === "" ? "" : `${prefix}/`, after, this);
  }

  async *children(prefix: string, after = ""): AsyncGenerator<string> {
    const folder = await this.#folder(prefix);
    if (folder !== undefined) yield* walkNames(folder, after, this);
  }

  async move(from: string, to: string): Promise<void> {
    const [path, target] = [this.#path(from), this.#path(to)];
    const file = await this.#file(from);
    if (from === to) return;
    if (await isLink(file, target)) {
      await this.delete(from);
      return;
    }
    await this.#place(path, target).catch((error: unknown) => {
      throw codeOf(error) === "ENOENT" ? notFound(from, error) : writeFailure(to, error);
    });
    await this.#vacate(path, from);
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#duplicate(from, to, copyDurably);
  }

  async link(from: string, to: string): Promise<void> {
    await this.#duplicate(from, to, linkDurably);
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key);
    try {
      if (!(await this.#folders.isPlain(dirname(path)))) return;
      await unlink(path);
    } catch (error) {
      const failure = readFailure(key, error);
      if (failure.code === "NOT_FOUND") return;
      throw failure;
    }
    await this.#vacate(path, key);
  }

  async redirectUrl(): Promise<undefined> {
    await Promise.resolve();
    return undefined;
  }

  localPath(key: string): string {
    this.#path(key);
    return join(this.#shownRoot, key);
  }

  async ping(): Promise<void> {
    try {
      const { path, handle } = await this.#temporaries.create();
      try {
        await handle.write("probe").finally(() => handle.close());
      } finally {
        await rm(path, { force: true });
      }
    } catch (error) {
      throw writeFailure(this.#shownRoot, error);
    }
  }

  async close(): Promise<void> {
    await this.#cleaning;
    await this.#temporaries.close();
  }

  hides(folder: string, name: string): boolean {
    return name.startsWith(strayPrefix) || (name === temporaryFolder && folder === join(this.root, ownFolder));
  }

  async #duplicate(from: string, to: string, make: typeof copyDurably): Promise<void> {
    const [path, target] = [this.#path(from), this.#path(to)];
    await this.#file(from);
    const temporary = await inWrite(to, this.#temporaries.reserve());
    try {
      await make(path, temporary).catch((error: unknown) => {
        throw codeOf(error) === "ENOENT" ? notFound(from, error) : writeFailure(to, error);
      });
      await inWrite(to, this.#place(temporary, target));
    } finally {
      // Of two names of one file, a rename keeps both.
      await rm(temporary, { force: true });
    }
  }

  async #writeSmall(key: string, bytes: Uint8Array): Promise<Stat> {
    const path = this.#path(key);
    const temporary = await inWrite(key, this.#temporaries.hold(bytes, true));
    try {
      await inWrite(key, this.#place(temporary.path, path));
      return temporary.stat;
    } catch (error) {
      await rm(temporary.path, { force: true });
      throw error;
    }
  }

  /** Gives a file whose content is on the disk its name; the name is on the disk when this resolves. */
  async #place(from: string, to: string): Promise<void> {
    await place(from, to, this.#folders, this.#temporaries);
    await this.#folders.settle(dirname(to));
  }

  /**
   * Where the object lies. Keys of what is hidden are refused, and those too long, before folders are made for them.
   */
  #path(key: string): string {
    const path = join(this.root, key);
    const names = key.split("/");
    const reserved = names[0] === ownFolder && names[1] === temporaryFolder;
    const impossible = names.some((name) => name.startsWith(strayPrefix) || Buffer.byteLength(name) > longestName);
    if (reserved || impossible || key.includes("\0") || Buffer.byteLength(path) > longestPath) {
      throw new DriverError("INVALID_KEY", `${JSON.stringify(key)} can't name an object of a local store`);
    }
    return path;
  }

  async #file(key: string): Promise<Stats> {
    const path = this.#path(key);
    try {
      const [file, plain] = await Promise.all([lstat(path), this.#folders.isPlain(dirname(path))]);
      if (plain && file.isFile()) return file;
    } catch (error) {
      throw readFailure(key, error);
    }
    throw notFound(key);
  }

  /** The folder of a prefix, or undefined when there is none. */
  async #folder(prefix: string): Promise<string | undefined> {
    if (prefix === "") return this.root;
    try {
      const path = this.#path(prefix);
      return (await this.#folders.isPlain(path)) ? path : undefined;
    } catch (error) {
      const failure = readFailure(prefix, error);
      if (failure.code === "NOT_FOUND") return undefined;
      throw failure;
    }
  }

  /** After `path` has lost its file: removes folders that are empty now, and waits until the disk knows. */
  async #vacate(path: string, key: string): Promise<void> {
    await inWrite(
      key,
      this.#folders.removeEmptyAbove(path).then((folder) => this.#folders.settle(folder)),
    );
  }
}

async function gathered(source: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of exactly(source, size)) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

async function inWrite<T>(key: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw writeFailure(key, error);
  }
}
