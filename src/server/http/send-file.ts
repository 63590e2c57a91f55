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
/** With so few files on their way reading ahead pays; among more there is always one to be sent while others are read. */
const few = 2;

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
  const borrowed = new Set<Part>();
  underWay += 1;
  try {
    const file = end - start > little ? await shared(handle) : undefined;
    const large = (): Part | undefined => {
      const part = isQuick && file ? borrow(file, position) : undefined;
      if (part) borrowed.add(part);
      return part;
    };
    const small = (): Pick<Part, "start" | "bytes"> => {
      own ??= Buffer.allocUnsafe(Math.min(little, end - start));
      return { start: position, bytes: readInto(own, handle, position) };
    };
    let ahead: Part | undefined;
    while (position < end) {
      const lent = ahead ?? large();
      const part = lent ?? small();
      const bytes = (await part.bytes).subarray(position - part.start, end - part.start);
      if (bytes.length === 0) throw new Error(`The file ended after ${position} bytes`);
      position += bytes.length;
      const isLast = position === end;
      ahead = !isLast && underWay <= few ? large() : undefined;
      const begun = performance.now();
      await taken(response, idleTimeout, (done) => {
        if (isLast) response.once("finish", done).end(bytes);
        else response.write(bytes, (error) => { if (!error) done(); }); // prettier-ignore
      });
      isQuick = performance.now() - begun < patience;
      if (lent) {
        borrowed.delete(lent);
        lent.giveBack();
      }
    }
  } finally {
    underWay -= 1;
    for (const part of borrowed) await part.bytes.catch(() => undefined);
    for (const part of borrowed) part.giveBack();
    await handle.close();
  }
}

async function readInto(buffer: Buffer, handle: FileHandle, position: number): Promise<Buffer> {
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
  return buffer.subarray(0, bytesRead);
}
