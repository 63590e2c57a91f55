import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import type { ByteRange } from "./range.ts";
import { taken } from "./taken.ts";

const smallest = 65_536;
const largest = 1_048_576;
/** What all responses together hold of their files in memory, unless there are very many of them; in bytes. */
const budget = 16 * largest;
/** What is kept for the next response when nobody needs it, in bytes. */
const spare = 4 * largest;
/** Who takes a part sooner gets more at once, who takes longer gets less, and nothing is read ahead; in milliseconds. */
const patience = 25;

/** The file at `path`, or undefined when it can't be opened: who knows what it stands for can say why. */
export async function openFile(path: string): Promise<FileHandle | undefined> {
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined);
}

/**
 * Writes a part of a file to a response, ends the response, and closes the file. The next part is read while one is sent,
 * into buffers that are used again: new ones for each part would fill the memory faster than it is collected. Rejects with
 * `ClientGone` when the client leaves or takes nothing for `idleTimeout` seconds, and when the file is shorter than that.
 */
export async function sendFile(
  file: FileHandle,
  { start, end }: Required<ByteRange>,
  response: ServerResponse,
  idleTimeout: number,
): Promise<void> {
  let position = start;
  let size = smallest;
  let reading: Promise<Part> | undefined;
  const read = (): Promise<Part> => {
    reading = readPart(file, position, Math.min(size, end - position));
    // Whoever awaits it sees its failure; until then it must not count as unhandled.
    reading.catch(() => undefined);
    return reading;
  };
  buffers.users += 1;
  try {
    for (;;) {
      const { buffer, bytes } = await (reading ?? read());
      reading = undefined;
      position += bytes.length;
      if (position === end) {
        response.end(bytes);
        await taken(response, idleTimeout, (done) => response.once("finish", done));
        buffers.giveBack(buffer);
        return;
      }
      if (size > smallest) void read();
      const begun = performance.now();
      await taken(response, idleTimeout, (done) => {
        response.write(bytes, (error) => {
          // With an error the response is closed too.
          if (!error) done();
        });
      });
      buffers.giveBack(buffer);
      size = performance.now() - begun < patience ? Math.min(size * 4, buffers.largest) : smallest;
    }
  } finally {
    buffers.users -= 1;
    // What is not given back may still be on its way to the disk or the socket.
    await reading?.catch(() => undefined);
    await file.close();
  }
}

interface Part {
  readonly buffer: Buffer;
  readonly bytes: Buffer;
}

async function readPart(file: FileHandle, position: number, size: number): Promise<Part> {
  const buffer = buffers.take(size);
  const { bytesRead } = await file.read(buffer, 0, size, position);
  if (bytesRead === 0) throw new Error(`The file ended after ${position} bytes`);
  return { buffer, bytes: buffer.subarray(0, bytesRead) };
}

/** Buffers that wait to be used again, of few sizes so that they fit. */
const buffers = {
  users: 0,
  free: new Map<number, Buffer[]>(),
  freeBytes: 0,

  /** As much as each may hold of the budget, twice. */
  get largest(): number {
    const share = budget / (2 * Math.max(1, this.users));
    return share >= largest ? largest : share >= largest / 4 ? largest / 4 : smallest;
  },

  take(size: number): Buffer {
    if (size < smallest) return Buffer.allocUnsafe(size);
    const length = size > largest / 4 ? largest : size > smallest ? largest / 4 : smallest;
    const found = this.free.get(length)?.pop();
    if (found) this.freeBytes -= length;
    return found ?? Buffer.allocUnsafeSlow(length);
  },

  giveBack(buffer: Buffer): void {
    const { length } = buffer;
    if (length < smallest || this.freeBytes + length > spare) return;
    this.freeBytes += length;
    const list = this.free.get(length);
    if (list) list.push(buffer);
    else this.free.set(length, [buffer]);
  },
};
