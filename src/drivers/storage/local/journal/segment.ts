import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { closeFile, openFile, syncAll, syncContent, writeBytes } from "../calls.ts";
import { encodeHeader, encodeRecord, headerLength, idLength, recordLength, type JournalRecord } from "./records.ts";

/** In bytes. */
export const segmentLength = 4 * 1_048_576;
/** More objects would take too long to bring to the disk, when the server stops. */
const mostKeys = 1_000;

/**
 * A file of a journal. It has its length from the beginning, so that records come to the disk without any change to the
 * file system's own data.
 */
export class Segment {
  readonly path: string;
  readonly #descriptor: number;
  #id = Buffer.alloc(idLength);
  #end = 0;
  /** The keys of its records with content. */
  readonly keys = new Set<string>();
  /** When the last record came, in milliseconds since the process started. */
  lastUse = 0;
  #unplaced = 0;
  #placed: (() => void) | undefined;

  private constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  static async create(path: string): Promise<Segment> {
    const descriptor = await openFile(path, "wx");
    try {
      await writeBytes(descriptor, Buffer.alloc(segmentLength), 0);
      await syncAll(descriptor);
      return new Segment(path, descriptor);
    } catch (error) {
      await closeFile(descriptor);
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Begins it (anew); the header comes to the disk with the first records. */
  async begin(serial: number, boot: string): Promise<void> {
    this.#id = randomBytes(idLength);
    this.#end = headerLength;
    await writeBytes(this.#descriptor, encodeHeader({ serial, id: this.#id, boot }), 0);
  }

  /** How many of `records`, from the first on, still have room. */
  room(records: readonly JournalRecord[]): number {
    if (this.keys.size >= mostKeys) return 0;
    let end = this.#end;
    const over = records.findIndex((record) => (end += recordLength(record)) > segmentLength);
    return over === -1 ? records.length : over;
  }

  /** Adds records, for which there is room; they are on the disk when this resolves. */
  async add(records: readonly JournalRecord[]): Promise<void> {
    const bytes = Buffer.concat(records.map((record) => encodeRecord(this.#id, record)));
    await writeBytes(this.#descriptor, bytes, this.#end);
    await syncContent(this.#descriptor);
    this.#end += bytes.length;
    this.lastUse = performance.now();
  }

  /**
   * Says that an object of it is on its way to its place; answers what is to be called when it got there, or
   * not; twice is fine.
   */
  placing(): () => void {
    this.#unplaced += 1;
    let isUnplaced = true;
    return () => {
      if (!isUnplaced) return;
      isUnplaced = false;
      this.#unplaced -= 1;
      if (this.#unplaced === 0) this.#placed?.();
    };
  }

  /** Resolves when nothing is on its way any more. To be awaited only when nothing is added any more. */
  async settled(): Promise<void> {
    if (this.#unplaced === 0) return;
    await new Promise<void>((resolve) => {
      this.#placed = resolve;
    });
    this.#placed = undefined;
  }

  /** Makes all its records void. */
  async end(): Promise<void> {
    await writeBytes(this.#descriptor, Buffer.alloc(headerLength), 0);
    await syncContent(this.#descriptor);
    this.keys.clear();
  }

  async remove(): Promise<void> {
    await closeFile(this.#descriptor);
    await rm(this.path, { force: true });
  }
}
