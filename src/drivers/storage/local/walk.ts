import { readdir, type Dirent } from "node:fs";
import { lstat, opendir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Entry } from "../driver.ts";
import { compareKeys } from "../key-order.ts";
import { codeOf } from "./failure.ts";
import { gentlySorted } from "./gentle-sort.ts";

/** At most twice as many names of one folder are held at a time; a larger folder is read several times over. */
const namesHeld = 50_000;
/** So many files or folders are looked at side by side. */
const batch = 16;
/** Bytes that a folder itself takes. Up to this it is read at once, which takes a tenth of the time for a small one. */
const smallFolder = 262_144;
/** Folders so far below the one that is looked into are seldom large enough to ask first how large they are. */
const nearLevels = 2;

/** A folder that holds a store, and which names below it are not part of that store. */
export interface Tree {
  readonly root: string;
  /** Instead of `namesHeld`. */
  readonly namesHeld?: number;
  hides(folder: string, name: string): boolean;
}

interface Name {
  readonly name: string;
  readonly folder: boolean;
  /** What it is sorted by. */
  readonly rank: string;
}

/**
 * The objects below `folder`, whose keys begin with `prefix` (empty, or with a `/` at its end), in byte order of whole
 * keys and beyond `after`. Folders that hold nothing beyond `after` are not entered.
 */
export async function* walkObjects(folder: string, prefix: string, after: string, tree: Tree): AsyncGenerator<Entry> {
  const reaches = (name: Name): boolean => {
    const key = prefix + name.rank;
    return compareKeys(key, after) > 0 || (name.folder && after.startsWith(key));
  };
  // A folder `b` stands where its keys `b/…` do: after `b-c`.
  const rank = (name: string, isFolder: boolean): string => (isFolder ? `${name}/` : name);
  let files: string[] = [];
  for await (const { name, folder: isFolder } of sortedNames(folder, { rank, reaches, tree })) {
    if (!isFolder) files.push(name);
    if (isFolder || files.length === batch) {
      yield* entries(folder, prefix, files);
      files = [];
    }
    if (isFolder) yield* walkObjects(join(folder, name), `${prefix}${name}/`, after, tree);
  }
  yield* entries(folder, prefix, files);
}

/** The names of the objects in `folder`, and of its folders that hold any object, in byte order and beyond `after`. */
export async function* walkNames(folder: string, after: string, tree: Tree): AsyncGenerator<string> {
  const reaches = (name: Name): boolean => compareKeys(name.name, after) > 0;
  let names: Name[] = [];
  for await (const name of sortedNames(folder, { rank: (text) => text, reaches, tree })) {
    names.push(name);
    if (names.length < batch) continue;
    yield* withObjects(folder, names, tree);
    names = [];
  }
  yield* withObjects(folder, names, tree);
}

async function* entries(folder: string, prefix: string, names: readonly string[]): AsyncGenerator<Entry> {
  const found = await Promise.all(names.map(async (name) => await ifPresent(lstat(join(folder, name)))));
  for (const [index, name] of names.entries()) {
    const file = found[index];
    if (file?.isFile()) yield { key: prefix + name, size: file.size, modified: file.mtime };
  }
}

async function* withObjects(folder: string, names: readonly Name[], tree: Tree): AsyncGenerator<string> {
  const found = await Promise.all(
    names.map(async (name) => !name.folder || (await holdsObject(join(folder, name.name), tree))),
  );
  for (const [index, { name }] of names.entries()) if (found[index]) yield name;
}

/** A crash between making a folder and storing into it leaves an empty one, which is nothing to a caller. */
async function holdsObject(folder: string, tree: Tree, level = 1): Promise<boolean> {
  const folders: string[] = [];
  for await (const names of namesIn(folder, tree, level <= nearLevels)) {
    for (const entry of names) {
      if (!entry.folder) return true;
      folders.push(entry.name);
    }
  }
  for (const name of folders) if (await holdsObject(join(folder, name), tree, level + 1)) return true;
  return false;
}

interface Selection {
  readonly rank: (name: string, isFolder: boolean) => string;
  readonly reaches: (name: Name) => boolean;
  readonly tree: Tree;
}

async function* sortedNames(folder: string, { rank, reaches, tree }: Selection): AsyncGenerator<Name> {
  const held = tree.namesHeld ?? namesHeld;
  let last: string | undefined;
  for (;;) {
    let page: Name[] = [];
    let whole = true;
    for await (const names of namesIn(folder, tree)) {
      for (const entry of names) {
        const name = { ...entry, rank: rank(entry.name, entry.folder) };
        if (!reaches(name) || (last !== undefined && compareKeys(name.rank, last) <= 0)) continue;
        page.push(name);
        if (page.length < 2 * held) continue;
        page = (await gentlySorted(page, byRank)).slice(0, held);
        whole = false;
      }
    }
    page = await gentlySorted(page, byRank);
    if (!whole) page = page.slice(0, held);
    yield* page;
    if (whole) return;
    last = page.at(-1)?.rank;
  }
}

function byRank(a: Name, b: Name): number {
  return compareKeys(a.rank, b.rank);
}

/**
 * Files and folders, as the disk has them. Links (but folders linked from the root), sockets and the like are nothing.
 */
async function* namesIn(folder: string, tree: Tree, isSmall?: boolean): AsyncGenerator<readonly Omit<Name, "rank">[]> {
  for await (const entries of entriesIn(folder, isSmall)) {
    const names: Omit<Name, "rank">[] = [];
    for (const entry of entries) {
      const { name } = entry;
      if (tree.hides(folder, name)) continue;
      const isFolder =
        entry.isDirectory() ||
        (entry.isSymbolicLink() &&
          folder === tree.root &&
          (await ifPresent(stat(join(folder, name))))?.isDirectory() === true);
      if (isFolder || entry.isFile()) names.push({ name, folder: isFolder });
    }
    yield names;
  }
}

/** All at once where they are few, so that many small folders are quickly read; otherwise some at a time. */
async function* entriesIn(folder: string, isSmall = false): AsyncGenerator<readonly Dirent[]> {
  if (isSmall || ((await ifPresent(stat(folder)))?.size ?? 0) <= smallFolder) {
    yield (await ifPresent(allEntries(folder))) ?? [];
    return;
  }
  const entries = await ifPresent(opendir(folder, { bufferSize: 256 }));
  if (!entries) return;
  let some: Dirent[] = [];
  for await (const entry of entries) {
    some.push(entry);
    if (some.length < 256) continue;
    yield some;
    some = [];
  }
  yield some;
}

/** Costs half of what `readdir` of fs/promises does. */
async function allEntries(folder: string): Promise<Dirent[]> {
  return await new Promise((resolve, reject) => {
    readdir(folder, { withFileTypes: true }, (error, entries) => {
      if (error) reject(error);
      else resolve(entries);
    });
  });
}

async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error))) return undefined;
    throw error;
  }
}
