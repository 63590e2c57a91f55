import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { borrow, shared, type Part } from "./file-parts.ts";
import type { ByteRange } from "./range.ts";
import { taken } from "./taken.ts";

/** What is read at once for a client that has not shown yet that it takes more, in bytes. */
const little = 65_536;
/** Who takes a part within this time gets a larger one next, in milliseconds. */
const patience = 25;
/**
 * How many parts are read ahead of one client, and of all. A part is there one turn of the event loop after it was asked
 * for, and turns are long while uploads are hashed. Among many clients there is always one whose part is there.
 */
const ahead = { each: 3, all: 8 };

let underWay = 0;

/** The file at `path`, or undefined when it can't be opened: who knows what it stands for can say why. */
export async function openFile(path: string): Promise<FileHandle | undefined> {
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined);
}

/**
 * Writes a part of a file to a response, ends the response, and closes the file. Rejects with `ClientGone` when the client
 * leaves or takes nothing for `idleTimeout` seconds, and when the file is shorter than that.
 */
export async function sendFile(
  handle: FileHandle,
  { start, end }: Required<ByteRange>,
  response: ServerResponse,
  idleTimeout: number,
): Promise<void> {
  let position = start;
  let isQuick = false;
  let own: Buffer | undefined;
  /** What is in memory or on its way there, from `position` on. */
  const queue: Part[] = [];
  underWay += 1;
  try {
    const file = end - start > little ? await shared(handle) : undefined;
    const readAhead = (): void => {
      const wanted = isQuick ? Math.min(ahead.each, Math.max(1, Math.floor(ahead.all / underWay))) : 0;
      while (file && queue.length < wanted) {
        const next = queue.at(-1)?.end ?? position;
        const part = next < end ? borrow(file, next) : undefined;
        if (!part) return;
        queue.push(part);
      }
    };
    const small = (): Pick<Part, "start" | "bytes"> => {
      own ??= Buffer.allocUnsafe(Math.min(little, end - start));
      return { start: position, bytes: readInto(own, handle, position) };
    };
    while (position < end) {
      readAhead();
      const [lent] = queue;
      const part = lent ?? small();
      const bytes = (await part.bytes).subarray(position - part.start, end - part.start);
      if (bytes.length === 0) throw new Error(`The file ended after ${position} bytes`);
      position += bytes.length;
      const isLast = position === end;
      const begun = performance.now();
      await taken(response, idleTimeout, (done) => {
        if (isLast) response.once("finish", done).end(bytes);
        else
          response.write(bytes, (error) => {
            // With an error the response is closed too.
            if (!error) done();
          });
      });
      isQuick = performance.now() - begun < patience;
      if (lent) queue.shift()?.giveBack();
    }
  } finally {
    underWay -= 1;
    for (const part of queue) await part.bytes.catch(() => undefined);
    for (const part of queue) part.giveBack();
    await handle.close();
  }
}

async function readInto(buffer: Buffer, handle: FileHandle, position: number): Promise<Buffer> {
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
  return buffer.subarray(0, bytesRead);
}
