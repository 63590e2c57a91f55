import { lstat, readdir, readFile, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf } from "../failure.ts";
import { place } from "../placement.ts";
import type { Temporaries } from "../temporaries.ts";
import { syncPresent, type Journaled } from "./journal.ts";
import { decodeHeader, decodeRecords, type JournalRecord } from "./records.ts";

/** By so much the clocks of files and of records may differ, in milliseconds. */
const tolerance = 2_000;

/** A segment that a process has left. */
interface Left {
  readonly serial: number;
  readonly boot: string;
  readonly records: readonly JournalRecord[];
}

/**
 * Brings to the disk what the journal of a process that ended badly says, then removes the journal; done twice, it is as
 * done once. When the machine has not stopped since, all is in its place and only has to get to the disk. Otherwise
 * each object gets the content that the journal has, unless somebody has written it later.
 */
export async function recover(store: Journaled, temporaries: Temporaries): Promise<void> {
  const { folder, folders, boot } = store;
  const files = await namesIn(folder);
  if (files.length === 0) return;
  const left = (await Promise.all(files.map(async (name) => await read(join(folder, name))))).filter(
    (segment) => segment !== undefined,
  );
  const last = new Map<string, JournalRecord>();
  for (const { records } of left.sort((a, b) => a.serial - b.serial)) {
    for (const record of records) last.set(record.key, record);
  }
  const hasStopped = boot === "" || left.some((segment) => segment.boot !== boot);
  const touched = new Set<string>();
  for (const { key, content, time } of last.values()) {
    if (!content) continue;
    const path = store.path(key);
    if (hasStopped && !(await isIn(path, content, time))) {
      const temporary = await temporaries.hold(content, true);
      await place(temporary.path, path, folders, temporaries);
    } else {
      await syncPresent(path);
    }
    for (let above = path; above.length > folders.root.length;) touched.add((above = dirname(above)));
  }
  await folders.settle(...touched);
  for (const name of files) await rm(join(folder, name), { force: true });
  // From now on the store changes without a word to the old journal: it must not come back.
  await folders.settle(folder);
  await rmdir(folder).catch(() => undefined);
}

/** Whether the file is what the record says, or newer. */
async function isIn(path: string, content: Uint8Array, time: number): Promise<boolean> {
  try {
    const found = await lstat(path);
    if (found.mtimeMs > time + tolerance) return true;
    return found.isFile() && found.size === content.length && (await readFile(path)).equals(content);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error))) return false;
    throw error;
  }
}

async function read(path: string): Promise<Left | undefined> {
  const bytes = await readFile(path);
  const header = decodeHeader(bytes);
  return header && { ...header, records: [...decodeRecords(bytes, header.id)] };
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}
