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

/** So much goes to the disk at once, and the next as much is gathered meanwhile. */
const batchBytes = mebibyte;
/**
 * After so much the disk catches up, so that the last wait is short and memory is not full of what it still has to
 * write.
 */
const syncBytes = 32 * mebibyte;

/**
 * Writes `source` to the open file and waits until the content is on the disk. What `source` throws passes through as
 * it is.
 */
export async function writeFile(handle: FileHandle, key: string, source: AsyncIterable<Uint8Array>): Promise<void> {
  let batch: Uint8Array[] = [];
  let gathered = 0;
  let unsynced = 0;
  let writing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    const [chunks, bytes] = [batch, gathered];
    [batch, gathered] = [[], 0];
    await writing;
    unsynced += bytes;
    const sync = unsynced >= syncBytes;
    if (sync) unsynced = 0;
    writing = writeChunks(handle, chunks, sync);
    // Whoever awaits `writing` next sees its failure; until then it must not count as unhandled.
    writing.catch(() => undefined);
  };
  const settled = async (work: Promise<void>): Promise<void> => {
    await work.catch((error: unknown) => {
      throw writeFailure(key, error);
    });
  };
  try {
    for await (const chunk of source) {
      batch.push(chunk);
      gathered += chunk.length;
      if (gathered >= batchBytes) await settled(flush());
    }
    if (gathered > 0) await settled(flush());
    await settled(writing);
    await settled(handle.datasync());
  } finally {
    // The handle must not be closed below a write that is still on its way.
    await writing.catch(() => undefined);
  }
}

async function writeChunks(handle: FileHandle, chunks: readonly Uint8Array[], sync: boolean): Promise<void> {
  let rest = chunks;
  while (rest.length > 0) rest = beyond(rest, (await handle.writev(rest)).bytesWritten);
  if (sync) await handle.datasync();
}

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
