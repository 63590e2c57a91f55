import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncContent, withFile } from "../calls.ts";
import { codeOf } from "../failure.ts";
import type { Folders } from "../folders.ts";
import type { JournalRecord } from "./records.ts";
import { Segment } from "./segment.ts";

/** So many segments there are at most, and so many full ones wait for the system to bring their files to the disk by itself. */
const most = 8;
const waiting = 3;
/** The system brings what is in memory to the disk after half a minute; to wait for that costs nothing then. In milliseconds. */
const patience = 40_000;
const interval = 10_000;
interface Entry {
  readonly record: JournalRecord;
  readonly done: (placed: () => void) => void;
  readonly failed: (error: unknown) => void;
}

/** What a journal needs to know of the store whose it is. */
export interface Journaled {
  /** The folder of the journal. */
  readonly folder: string;
  readonly folders: Folders;
  /** Where the object lies. */
  readonly path: (key: string) => string;
  /** The start of the machine, or an empty text. */
  readonly boot: string;
}

/**
 * What small objects hold, written one behind the other and brought to the disk together: until the objects' own files are
 * there, it says after a power cut what they were. Only for the one process that changes a store. For each key, what is
 * added must be in the order in which the store changes, and before anything else changes an object that it `has`, the
 * object must be brought to the disk and a record without content added.
 */
export class Journal {
  readonly #store: Journaled;
  readonly #queue: Entry[] = [];
  /** The segment of the last record of each key that has one with content. */
  readonly #live = new Map<string, Segment>();
  #current: Segment | undefined;
  readonly #full: Segment[] = [];
  readonly #free: Segment[] = [];
  #serial = 0;
  #flushing: Promise<void> | undefined;
  #retiring: Promise<void> = Promise.resolve();
  #isOpen = true;
  #failure: Error | undefined;
  readonly #timer: NodeJS.Timeout;

  /** The folder holds nothing of a journal before. */
  constructor(store: Journaled) {
    this.#store = store;
    this.#timer = setInterval(() => void this.#retireIdle().catch(() => undefined), interval).unref();
  }

  /** Whether it takes content. */
  get isOpen(): boolean {
    return this.#isOpen && this.#failure === undefined;
  }

  /** Whether a power cut could bring back what it says of the object. */
  has(key: string): boolean {
    return this.#live.has(key);
  }

  /**
   * Adds a record, which is on the disk when this resolves. What it answers is to be called when the content has its
   * place in the store, or will never have.
   */
  async add(key: string, content: Uint8Array | undefined): Promise<() => void> {
    if (this.#failure) throw this.#failure;
    if (content && !this.#isOpen) throw new Error("the journal is closed");
    const added = new Promise<() => void>((done, failed) => {
      this.#queue.push({ record: { key, content, time: Date.now() }, done, failed });
    });
    this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
    return await added;
  }

  /** Takes content again. */
  open(): void {
    this.#isOpen = true;
  }

  /** Takes no content any more, and brings what it has said to the disk in another way: nothing depends on it then. */
  async suspend(): Promise<void> {
    this.#isOpen = false;
    await this.#retireAll();
    // Whoever has the store next takes what is there for left behind.
    for (const segment of this.#free.splice(0)) await segment.remove();
  }

  /** As `suspend`, for good. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.suspend();
  }

  async #flush(): Promise<void> {
    // What is added in the same turn of the event loop goes to the disk together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      let entries: readonly Entry[] = [];
      let segment: Segment | undefined;
      try {
        segment = await this.#segmentFor(this.#queue.map(({ record }) => record));
        entries = this.#queue.splice(0, segment.room(this.#queue.map(({ record }) => record)));
        await segment.add(entries.map(({ record }) => record));
        for (const { record, done } of entries) {
          if (record.content) this.#keep(record.key, segment);
          else this.#live.delete(record.key);
          done(record.content ? segment.placing() : nothing);
        }
      } catch (error) {
        // They may be on the disk nevertheless.
        for (const { record } of entries) if (segment && record.content) this.#keep(record.key, segment);
        this.#fail(error, entries);
      }
    }
  }

  #keep(key: string, segment: Segment): void {
    segment.keys.add(key);
    this.#live.set(key, segment);
  }

  /** A disk that has failed once may claim later that all is well: nothing more is trusted to it. */
  #fail(error: unknown, entries: readonly Entry[]): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    for (const { failed } of [...entries, ...this.#queue.splice(0)]) failed(error);
    this.#retireAll().catch(nothing);
  }

  async #segmentFor(records: readonly JournalRecord[]): Promise<Segment> {
    if (this.#current && this.#current.room(records) > 0) return this.#current;
    if (this.#current) this.#full.push(this.#current);
    this.#current = undefined;
    if (this.#full.length > waiting) this.#startRetiring().catch(nothing);
    while (this.#free.length === 0 && this.#full.length >= most - 1) await this.#startRetiring();
    const segment = this.#free.pop() ?? (await this.#create());
    this.#serial = Math.max(Date.now(), this.#serial + 1);
    await segment.begin(this.#serial, this.#store.boot);
    return (this.#current = segment);
  }

  async #create(): Promise<Segment> {
    const { folder, folders } = this.#store;
    await mkdir(folder, { recursive: true });
    const segment = await Segment.create(join(folder, randomUUID()));
    await folders.settle(folder, dirname(folder), folders.root);
    return segment;
  }

  /** Retires the oldest full segment, after those that are being retired. */
  #startRetiring(): Promise<void> {
    const retired = this.#retiring.then(async () => {
      const [oldest] = this.#full;
      if (!oldest) return;
      await this.#retire(oldest);
      this.#full.shift();
      this.#free.push(oldest);
    });
    this.#retiring = retired.catch(nothing);
    return retired;
  }

  async #retireAll(): Promise<void> {
    while (this.#flushing) await this.#flushing;
    if (this.#current) this.#full.push(this.#current);
    this.#current = undefined;
    while (this.#full.length > 0) await this.#startRetiring();
  }

  async #retireIdle(): Promise<void> {
    const isOld = (segment: Segment): boolean => performance.now() - segment.lastUse > patience;
    if (this.#current && this.#flushing === undefined && this.#current.keys.size > 0 && isOld(this.#current)) {
      this.#full.push(this.#current);
      this.#current = undefined;
    }
    while (this.#full[0] && isOld(this.#full[0])) await this.#startRetiring();
  }

  /** Brings the files of a segment to the disk, then makes its records void. */
  async #retire(segment: Segment): Promise<void> {
    await segment.settled();
    const { path, folders } = this.#store;
    // What has a newer record is somewhere else by now.
    const keys = [...segment.keys].filter((key) => this.#live.get(key) === segment);
    const rest = keys.map(path);
    const sync = async (): Promise<void> => {
      for (let file = rest.pop(); file !== undefined; file = rest.pop()) await syncPresent(file);
    };
    // Two at a time: the system's threads have more to do.
    await Promise.all([sync(), sync()]);
    await folders.settle(...new Set(keys.map((key) => dirname(path(key)))));
    await segment.end();
    for (const key of keys) if (this.#live.get(key) === segment) this.#live.delete(key);
  }
}

/** Brings the content of a file to the disk. What somebody else has removed is no concern of the journal's any more. */
export async function syncPresent(path: string): Promise<void> {
  try {
    await withFile(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK, syncContent);
  } catch (error) {
    if (!["ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "EINVAL"].includes(codeOf(error))) throw error;
  }
}

function nothing(): void {
  // Nothing waits for it.
}
