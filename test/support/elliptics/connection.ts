import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import type { Reply, Request } from "./backend.ts";
import { chunksOf, newPath, type Piece, type Sendable } from "./content.ts";
import type { Faults } from "./faults.ts";
import { commands, flag, headerBytes, headerSize, ioSize, parseHeader, type Header } from "./wire.ts";

/** What brings more than so many bytes is put into a file while it comes. */
const mostAtOnce = 2 * 1_048_576;

/** The next turn of the event loop. */
const turn = async (): Promise<void> => {
  await new Promise((resolve) => setImmediate(resolve));
};

/** Reads whole requests off a socket; large contents of WRITE go to files meanwhile. Leaves nothing behind when it breaks. */
export async function* requestsOf(
  socket: Socket,
  folder: string,
  begin: (header: Header) => boolean,
): AsyncGenerator<Request> {
  let rest: Buffer = Buffer.alloc(0);
  const chunks = (socket as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  const more = async (): Promise<Buffer | undefined> => {
    const next = await chunks.next();
    return next.done === true ? undefined : next.value;
  };
  const take = async (size: number): Promise<Buffer | undefined> => {
    const parts = [rest];
    let length = rest.length;
    while (length < size) {
      const chunk = await more();
      if (!chunk) return undefined;
      parts.push(chunk);
      length += chunk.length;
    }
    const all = parts.length === 1 ? rest : Buffer.concat(parts);
    rest = all.subarray(size);
    return all.subarray(0, size);
  };
  const spool = async (size: number): Promise<Piece | undefined> => {
    const path = newPath(folder);
    const file = openSync(path, "w");
    let isWhole = false;
    try {
      for (let left = size; left > 0;) {
if (rest.length === 0) rest = (await more()) ?? rest;
        if (rest.length === 0) return undefined;
        const part = rest.subarray(0, left);
        writeSync(file, part);
        rest = rest.subarray(part.length);
        left -= part.length;
      }
      isWhole = true;
      return { path, size };
    } finally {
      closeSync(file);
      if (!isWhole) rmSync(path);
    }
  }; // prettier-ignore
  for (;;) {
    const head = await take(headerSize);
    if (!head) return;
    const header = parseHeader(head);
    if (!begin(header)) return;
    const isWrite = header.command === commands.WRITE && header.size >= ioSize;
    const body = await take(isWrite ? ioSize : header.size);
    const left = isWrite ? header.size - ioSize : 0;
    const piece = left > mostAtOnce ? await spool(left) : await take(left);
    if (!body || !piece) return;
    yield { header, body: own(body), piece: Buffer.isBuffer(piece) ? own(piece) : piece };
  }
}

/** A part of much that came holds all of it in memory, unless it is copied. */
function own(bytes: Buffer): Buffer {
  return bytes.length * 2 > bytes.buffer.byteLength ? bytes : Buffer.from(bytes);
}

/** Sends frames one after the other, in packets as the faults want them. */
export class Outlet {
  readonly #socket: Socket;
  readonly #faults: Faults;
  #last: Promise<void> = Promise.resolve();

  constructor(socket: Socket, faults: Faults) {
    this.#socket = socket;
    this.#faults = faults;
  }

  /** Sends a frame whole, or its first `cutAfter` bytes and then ends the connection. */
  async send(frame: readonly Sendable[], cutAfter = Infinity): Promise<void> {
    const before = this.#last;
    this.#last = (async () => {
      await before;
      let left = cutAfter;
      for (const sendable of frame) {
        for (const chunk of chunksOf(sendable)) {
          if (left === 0 || this.#socket.destroyed) break;
          const part = chunk.subarray(0, left);
          await this.#pass(part);
          left -= part.length;
        }
      }
      if (cutAfter === Infinity) return;
      // What was written must not be lost: a reset would overtake it.
      this.#socket.end();
      await turn();
      this.#socket.destroy();
    })();
    await this.#last;
  }

  async #pass(bytes: Buffer): Promise<void> {
    for (const packet of this.#faults.packets(bytes)) {
      if (this.#socket.destroyed || this.#socket.writableEnded) return;
      if (!this.#socket.write(packet)) await this.#drained();
      else if (packet.length < bytes.length) await turn();
    }
  }

  async #drained(): Promise<void> {
    if (this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off("drain", done).off("close", done);
        resolve();
      };
      this.#socket.on("drain", done).on("close", done);
    });
  }
}

/** A whole frame that answers a request. */
export function answerTo(header: Header, reply: Reply, backend: number): readonly Sendable[] {
  const body = reply.body ?? [];
  const size = body.reduce((sum, part) => sum + (Buffer.isBuffer(part) ? part.length : part.end - part.start), 0);
  const { id, group, command, trace, transaction } = header;
  const flags = (header.flags & ~(flag.needAck | flag.direct)) | flag.reply | (reply.more === true ? flag.more : 0);
  const head = { id: reply.id ?? id, group, status: reply.status ?? 0, command, backend, trace, flags, transaction, size };
  return [headerBytes(head), ...body];
} // prettier-ignore
