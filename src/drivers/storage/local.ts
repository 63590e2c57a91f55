import { constants } from "node:fs";
import { mkdir, open, realpath, rm, stat, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { z } from "zod";
import { option } from "../option.ts";
import { resolveRange } from "./byte-range.ts";
import { defineStorage } from "./define.ts";
import type { Append, ByteRange, Entry, Stat, StorageDriver, WriteInSteps } from "./driver.ts";
import { exactly, gathered } from "./exact-size.ts";
import { appendToFile } from "./local/append.ts";
import { claimFolder } from "./local/claim.ts";
import { codeOf, inWrite, notFound, readFailure, writeFailure } from "./local/failure.ts";
import { streamFile, writeFile } from "./local/file-content.ts";
import { Folders } from "./local/folders.ts";
import { FreeSpace } from "./local/free-space.ts";
import { putInSteps } from "./local/in-steps.ts";
import { isLink, linkDurably } from "./local/links.ts";
import { KernelOrdering, type Ordering } from "./local/ordering.ts";
import { copyDurably, placeDurably } from "./local/placement.ts";
import { ownFolder, StoreTree, temporaryFolder } from "./local/store-tree.ts";
import { Temporaries } from "./local/temporaries.ts";
import { walkNames, walkObjects } from "./local/walk.ts";
import { readOnly } from "./read-only.ts";

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
  openToRead: async ({ storage_path: path }) => await openLocalToRead(path),
});

/**
 * Opens the store in the folder `path`, making it when it is missing. Removes what killed processes left, beside the
 * work. `ordering` instead of what the kernel says of the disk.
 */
export async function openLocal(path: string, minFree = 0, ordering?: Ordering): Promise<StorageDriver> {
  try {
    await mkdir(path, { recursive: true });
    const { root, temporaries, folders } = await foundations(path, ordering);
    const space = new FreeSpace(root, minFree);
    // Beside the work, not before it. What can't be removed now is tried again at the next start.
    const cleaning = temporaries.cleanUp().catch(() => undefined);
    return new LocalStorage({ shownRoot: resolve(path), temporaries, folders, space, cleaning });
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/** Opens the store in the folder `path` and changes nothing in it, now or later. Rejects with NOT_FOUND when it is missing. */
export async function openLocalToRead(path: string): Promise<StorageDriver> {
  try {
    const { root, temporaries, folders } = await foundations(path);
    const [space, cleaning] = [new FreeSpace(root, 0), Promise.resolve()];
    return readOnly(new LocalStorage({ shownRoot: resolve(path), temporaries, folders, space, cleaning }));
  } catch (error) {
    throw codeOf(error) === "ENOENT" ? notFound(path) : readFailure(path, error);
  }
}

async function foundations(path: string, ordering?: Ordering) {
  const root = await realpath(path);
  const { dev: device } = await stat(root);
  const temporaries = await Temporaries.in(join(root, ownFolder, temporaryFolder));
  const probe = async (): Promise<void> => {
    await rm((await temporaries.hold(Buffer.from("probe"))).path);
  };
  const folders = new Folders({ root, device, ordering: ordering ?? new KernelOrdering({ device, probe }) });
  return { root, temporaries, folders };
}

/** Up to so many bytes an object is written at once: it is in memory as a whole before anything is done. */
const smallest = 65_536;

interface Parts {
  readonly shownRoot: string;
  readonly temporaries: Temporaries;
  readonly folders: Folders;
  readonly space: FreeSpace;
  readonly cleaning: Promise<unknown>;
}

class LocalStorage implements StorageDriver {
  readonly name = "local";
  readonly features = features;
  readonly #tree: StoreTree;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#tree = new StoreTree(parts.folders);
    this.#parts = parts;
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const path = this.#tree.path(key);
    let handle: FileHandle | undefined;
    try {
      // Without O_NONBLOCK, opening a pipe would wait for its writer.
      handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      const [file, plain] = await Promise.all([handle.stat(), this.#parts.folders.isPlain(dirname(path))]);
      if (!plain || !file.isFile()) throw notFound(key);
      return streamFile(handle, resolveRange(range, file.size));
    } catch (error) {
      await handle?.close();
      throw readFailure(key, error);
    }
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    const path = this.#tree.path(key);
    await this.#parts.space.require();
    if (size !== undefined && size <= smallest) {
      const content = await gathered(source, size);
      return await inWrite(key, this.#put(path, content));
    }
    // In the store's own file system: there a rename is all or nothing.
    const temporary = await inWrite(key, this.#parts.temporaries.create());
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
    const path = this.#tree.path(key);
    await this.#parts.space.require();
    await appendToFile(path, key, { size, source }, this.#parts.folders);
  };

  readonly writeInSteps: WriteInSteps = async (steps) => {
    const placed = steps.map((step) => step.map((object) => ({ ...object, path: this.#tree.path(object.key) })));
    await this.#parts.space.require();
    return await putInSteps(placed, this.#parts.folders, this.#parts.temporaries);
  };

  async stat(key: string): Promise<Stat> {
    const { size, mtime } = await this.#tree.file(key);
    return { size, modified: mtime };
  }

  async *list(prefix: string, after = ""): AsyncGenerator<Entry> {
    const folder = await this.#tree.folder(prefix);
    if (folder !== undefined) yield* walkObjects(folder, prefix === "" ? "" : `${prefix}/`, after, this.#tree);
  }

  async *children(prefix: string, after = ""): AsyncGenerator<string> {
    const folder = await this.#tree.folder(prefix);
    if (folder !== undefined) yield* walkNames(folder, after, this.#tree);
  }

  async move(from: string, to: string): Promise<void> {
    const [path, target] = [this.#tree.path(from), this.#tree.path(to)];
    const file = await this.#tree.file(from);
    if (from === to) return;
    if (await isLink(file, target)) {
      await unlink(path);
    } else {
      await this.#place(path, target).catch((error: unknown) => {
        throw codeOf(error) === "ENOENT" ? notFound(from, error) : writeFailure(to, error);
      });
    }
    await this.#vacate(path, from);
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#duplicate(from, to, copyDurably);
  }

  async link(from: string, to: string): Promise<void> {
    await this.#duplicate(from, to, linkDurably);
  }

  async delete(key: string): Promise<void> {
    const path = this.#tree.path(key);
    try {
      if (!(await this.#parts.folders.isPlain(dirname(path)))) return;
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
    this.#tree.path(key);
    return join(this.#parts.shownRoot, key);
  }

  async ping(): Promise<void> {
    try {
      const { path, handle } = await this.#parts.temporaries.create();
      try {
        await handle.write("probe").finally(() => handle.close());
      } finally {
        await rm(path, { force: true });
      }
    } catch (error) {
      throw writeFailure(this.#parts.shownRoot, error);
    }
  }

  async close(): Promise<void> {
    await this.#parts.cleaning;
    await this.#parts.temporaries.close();
  }

  async #duplicate(from: string, to: string, make: typeof copyDurably): Promise<void> {
    const [path, target] = [this.#tree.path(from), this.#tree.path(to)];
    await this.#tree.file(from);
    const temporary = await inWrite(to, this.#parts.temporaries.reserve());
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

  async #put(path: string, content: Uint8Array): Promise<Stat> {
    const temporary = await this.#parts.temporaries.hold(content);
    try {
      await this.#place(temporary.path, path);
      return temporary.stat;
    } catch (error) {
      await rm(temporary.path, { force: true });
      throw error;
    }
  }

  async #place(from: string, to: string): Promise<void> {
    await placeDurably(from, to, this.#parts.folders, this.#parts.temporaries);
  }

  /** After `path` has lost its file: removes folders that are empty now, and waits until the disk knows. */
  async #vacate(path: string, key: string): Promise<void> {
    await inWrite(
      key,
      this.#parts.folders.removeEmptyAbove(path).then((folder) => this.#parts.folders.settle(folder)),
    );
  }
}
