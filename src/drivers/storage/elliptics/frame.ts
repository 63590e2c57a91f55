import { idSize } from "./ids.ts";
import { ProtocolError } from "./failure.ts";

/** The bytes of a frame before its body. */
export const headerSize = 120;

/** The commands of the protocol that a client has to know. JOIN is not here: it makes its sender a storage node. */
export const command = {
  lookup: 1,
  reverseLookup: 2,
  write: 4,
  read: 5,
  routeList: 8,
  remove: 11,
  indexesUpdate: 20,
  indexesInternal: 21,
  indexesFind: 22,
  updateIds: 24,
} as const;

export type Command = (typeof command)[keyof typeof command];

/** Flags of a header. Without NEED_ACK some requests are never answered; without REPLY a frame is no answer. */
export const headerFlag = { needAck: 0x1, more: 0x2, direct: 0x8, noLock: 0x10, reply: 0x200 } as const;

/** The head of a frame, but for what is always 0. */
export interface Header {
  readonly id: Buffer;
  readonly group: number;
  readonly status: number;
  readonly command: number;
  readonly backend: number;
  readonly flags: number;
  readonly transaction: number;
  /** The bytes of the body. */
  readonly size: number;
}

/** A header's bytes; the trace is 0. */
export function encodeHeader(header: Omit<Header, "status">): Buffer {
  const bytes = Buffer.alloc(headerSize);
  header.id.copy(bytes, 0, 0, idSize);
  bytes.writeUInt32LE(header.group, 64);
  bytes.writeUInt32LE(header.command, 80);
  bytes.writeInt32LE(header.backend, 84);
  writeUint64(bytes, header.flags, 96);
  writeUint64(bytes, header.transaction, 104);
  writeUint64(bytes, header.size, 112);
  return bytes;
}

/** Reads a header. Throws `ProtocolError` where a number is larger than any that makes sense. */
export function decodeHeader(bytes: Buffer): Header {
  return {
    id: Buffer.from(bytes.subarray(0, idSize)),
    group: bytes.readUInt32LE(64),
    status: bytes.readInt32LE(76),
    command: bytes.readUInt32LE(80),
    backend: bytes.readInt32LE(84),
    flags: readUint64(bytes, 96),
    transaction: readUint64(bytes, 104),
    size: readUint64(bytes, 112),
  };
}

/** Writes a whole number from 0 to 2^53 as 64 bits. */
export function writeUint64(bytes: Buffer, value: number, offset: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no size`);
  bytes.writeUInt32LE(value % 2 ** 32, offset);
  bytes.writeUInt32LE(Math.floor(value / 2 ** 32), offset + 4);
}

/** Reads 64 bits. Throws `ProtocolError` where they are more than a number holds exactly. */
export function readUint64(bytes: Buffer, offset: number): number {
  const high = bytes.readUInt32LE(offset + 4);
  if (high >= 2 ** 21) throw new ProtocolError("a number is larger than 2^53");
  return high * 2 ** 32 + bytes.readUInt32LE(offset);
}

/**
 * Finds frames in bytes that come in pieces of any length. `limit` says how long the body that belongs to a header may be:
 * undefined is one that nobody waits for, which passes by without being held; what is longer than that, or than
 * `longestBody`, is a `ProtocolError`.
 */
export class FrameReader {
  readonly #limit: (header: Header) => number | undefined;
  readonly #onFrame: (header: Header, body: Buffer) => void;
  readonly #head = Buffer.alloc(headerSize);
  #headLength = 0;
  #header: Header | undefined;
  #isHeld = false;
  #missing = 0;
  #body = Buffer.alloc(0);
  #bodyLength = 0;

  constructor(limit: (header: Header) => number | undefined, onFrame: (header: Header, body: Buffer) => void) {
    this.#limit = limit;
    this.#onFrame = onFrame;
  }

  /** Takes the next bytes, and keeps none of them. Throws what `limit` and `onFrame` throw, and `ProtocolError`. */
  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      at += this.#header === undefined ? this.#takeHead(bytes, at) : this.#takeBody(this.#header, bytes, at);
    }
  }

  #takeHead(bytes: Buffer, at: number): number {
    const taken = bytes.copy(this.#head, this.#headLength, at, at + headerSize - this.#headLength);
    this.#headLength += taken;
    if (this.#headLength === headerSize) {
      this.#headLength = 0;
      this.#begin(decodeHeader(this.#head));
    }
    return taken;
  }

  #begin(header: Header): void {
    const limit = this.#limit(header);
    if (header.size > (limit ?? longestBody)) throw new ProtocolError(`a body of ${header.size} bytes is too long`);
    this.#isHeld = limit !== undefined;
    this.#missing = header.size;
    if (header.size > 0) this.#header = header;
    else if (this.#isHeld) this.#onFrame(header, Buffer.alloc(0));
  }

  #takeBody(header: Header, bytes: Buffer, at: number): number {
    const piece = bytes.subarray(at, at + this.#missing);
    this.#missing -= piece.length;
    if (this.#isHeld) this.#keep(piece, header.size);
    if (this.#missing > 0) return piece.length;
    const body = this.#body;
    this.#header = undefined;
    this.#body = Buffer.alloc(0);
    this.#bodyLength = 0;
    if (this.#isHeld) this.#onFrame(header, body);
    return piece.length;
  }

  /** It grows with what has come, not with what is said to come. */
  #keep(piece: Buffer, size: number): void {
    const needed = this.#bodyLength + piece.length;
    if (needed > this.#body.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(size, Math.max(needed, 2 * this.#body.length, firstBody)));
      this.#body.copy(larger, 0, 0, this.#bodyLength);
      this.#body = larger;
    }
    piece.copy(this.#body, this.#bodyLength);
    this.#bodyLength = needed;
  }
}

/** So much is taken for a body at once: no more than clients ask of one object at a time. */
const firstBody = 1_048_576 + 4_096;

/** No server sends more in one frame that a client of this kind has asked for. */
const longestBody = 2 ** 31;
