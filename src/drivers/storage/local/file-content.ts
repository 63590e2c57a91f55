import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import type { ByteRange } from "../driver.ts";
import { DriverError } from "../errors.ts";
import { writeFailure } from "./failure.ts";

const mebibyte = 1_048_576;
const smallestRead = 65_536;
/**
 * A reader that is back sooner gets more at once, one that takes longer gets less: a slow one shall not hold a
 * mebibyte.
 */
const patience = 25;

/** Yields the range of the open file and closes it. Fails, instead of ending, when the file turns out to be shorter. */
export function streamFile(handle: FileHandle, { start, end }: Required<ByteRange>): Readable {
  let position = start;
  let amount = smallestRead;
  let pushed = 0;
  const read = async (): Promise<Uint8Array | null> => {
    if (position >= end) return null;
    if (pushed > 0) amount = performance.now() - pushed < patience ? Math.min(amount * 4, mebibyte) : smallestRead;
    const buffer = Buffer.allocUnsafeSlow(Math.min(amount, end - position));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) throw new DriverError("UNAVAILABLE", "the file became shorter while it was read");
    position += bytesRead;
    pushed = performance.now();
    return buffer.subarray(0, bytesRead);
  };
  return new Readable({
    // Nothing is read ahead: what waits in memory is what the consumer has taken.
    highWaterMark: 0,
    read() {
      read().then(
        (chunk) => this.push(chunk),
        (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
      );
    },
    destroy(error, done) {
      handle.close().then(
        () => {
          done(error);
        },
        (closing: unknown) => {
          done(error ?? (closing instanceof Error ? closing : null));
        },
      );
    },
  });
}

/**
 * After so much the disk is told to catch up, so that the last wait is short and memory is not full of what it still has
 * to write.
 */
const syncBytes = 8 * mebibyte;

/** How content gets into a file: from which byte on, and whether it is to be on the disk, not only in the system's memory. */
export interface Writing {
  readonly position?: number;
  readonly durable?: boolean;
}

/**
 * Writes `source` to the open file. What `source` throws passes through as it is; nothing is on its way to the file any
 * more when this settles.
 */
export async function writeFile(
  handle: FileHandle,
  key: string,
  source: AsyncIterable<Uint8Array>,
  { position = 0, durable = true }: Writing = {},
): Promise<void> {
  const disk = new Disk(handle, position);
  const settled = async (work: Promise<void>): Promise<void> => {
    await work.catch((error: unknown) => {
      throw writeFailure(key, error);
    });
  };
  let batch = new Batch();
  try {
    for await (const chunk of source) {
      let taken = batch.add(chunk);
      while (batch.isFull) {
        await settled(disk.write(batch));
        batch = new Batch();
        taken += batch.add(chunk.subarray(taken));
      }
    }
    await settled(disk.write(batch));
    await settled(disk.end(durable));
  } finally {
    // The handle must not be closed below a write that is still on its way, nor its memory be used again.
    await disk.quiet();
    batch.end();
  }
}

/** Writes a batch while the next is gathered, and syncs what was written before meanwhile. */
class Disk {
  readonly #handle: FileHandle;
  #position: number;
  #unsynced = 0;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();

  constructor(handle: FileHandle, position: number) {
    this.#handle = handle;
    this.#position = position;
  }

  /** Resolves when the batch before is written; the failure of this one is told by whatever comes next. */
  async write(batch: Batch): Promise<void> {
    await this.#writing;
    this.#writing = this.#write(batch);
    // Whoever awaits it next sees its failure; until then it must not count as unhandled.
    this.#writing.catch(() => undefined);
  }

  /** Resolves when all is written and, if it is to be durable, on the disk. */
  async end(durable: boolean): Promise<void> {
    await this.#writing;
    await this.#syncing;
    if (durable) await this.#handle.datasync();
  }

  /** Resolves when nothing is under way, however it went. */
  async quiet(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#syncing.catch(() => undefined);
  }

  async #write(batch: Batch): Promise<void> {
    // Not after the write before, which may have been the last: whoever ends it would wait for this.
    if (this.#unsynced >= syncBytes) await this.#beginSync();
    try {
      let rest = batch.chunks;
      while (rest.length > 0) {
        const { bytesWritten } = await this.#handle.writev(rest, this.#position);
        this.#position += bytesWritten;
        this.#unsynced += bytesWritten;
        rest = beyond(rest, bytesWritten);
      }
    } finally {
      batch.end();
    }
  }

  async #beginSync(): Promise<void> {
    await this.#syncing;
    this.#unsynced = 0;
    this.#syncing = this.#handle.datasync();
    this.#syncing.catch(() => undefined);
  }
}

/**
 * Content that goes to the disk at once. More than a little is copied, so that what came from a socket dies young; where
 * too many copy already, it goes in smaller pieces as it came.
 */
class Batch {
  #few: Uint8Array[] = [];
  #buffer: Buffer | undefined;
  #size = 0;
  #room = fewBytes;

  get isFull(): boolean {
    return this.#size >= this.#room;
  }

  get chunks(): readonly Uint8Array[] {
    return this.#buffer ? [this.#buffer.subarray(0, this.#size)] : this.#few;
  }

  /** Takes as much as there is room for, and answers how much that was. */
  add(chunk: Uint8Array): number {
    if (!this.#buffer && this.#size + chunk.length >= fewBytes) this.#gather();
    const taken = Math.min(chunk.length, this.#room - this.#size);
    const bytes = taken === chunk.length ? chunk : chunk.subarray(0, taken);
    if (this.#buffer) this.#buffer.set(bytes, this.#size);
    else this.#few.push(bytes);
    this.#size += taken;
    return taken;
  }

  /** Gives its memory to the next batch. */
  end(): void {
    if (this.#buffer) memory.giveBack(this.#buffer);
    this.#buffer = undefined;
  }

  #gather(): void {
    this.#buffer = memory.borrow();
    this.#room = this.#buffer ? batchBytes : 2 * fewBytes;
    if (!this.#buffer) return;
    let size = 0;
    for (const chunk of this.#few) {
      this.#buffer.set(chunk, size);
      size += chunk.length;
    }
    this.#few = [];
  }
}

const batchBytes = mebibyte;
const fewBytes = 65_536;

/** The memory of batches, used again and again: new memory for each would fill up faster than it is collected. */
const memory = {
  most: 8,
  keptIdle: 4,
  lent: 0,
  free: [] as Buffer[],

  /** Nothing when as much is lent as there may be. */
  borrow(): Buffer | undefined {
    if (this.lent === this.most) return undefined;
    this.lent += 1;
    return this.free.pop() ?? Buffer.allocUnsafeSlow(batchBytes);
  },

  giveBack(buffer: Buffer): void {
    this.lent -= 1;
    this.free.push(buffer);
    if (this.lent === 0) this.free.splice(this.keptIdle);
  },
};

/** What remains of `chunks` when their first `written` bytes are done with: a disk may take less than it was given. */
function beyond(chunks: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  const rest: Uint8Array[] = [];
  let done = written;
  for (const chunk of chunks) {
    if (done < chunk.length) rest.push(chunk.subarray(done));
    done = Math.max(0, done - chunk.length);
  }
  return rest;
}
