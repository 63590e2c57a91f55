import { ProtocolError } from "./failure.ts";
import { readUint64, writeUint64 } from "./frame.ts";
import { idSize } from "./ids.ts";

export const ioSize = 208;
/** An address and the fixed part of a file info. */
export const fileInfoSize = 144;
const addressSize = 32;
const requestSize = 136;
const entrySize = 124;

/** Flags of io attributes. */
export const ioFlag = { append: 0x2, prepare: 0x10, commit: 0x20, plain: 0x200 } as const;

/** Flags of index requests and of their entries. */
export const indexFlag = { intersect: 1, updateOnly: 4, more: 8, insert: 1 } as const;

/** A moment as servers keep it. */
export interface Moment {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What a request says of the bytes it writes, reads or removes; what is left out is 0. */
export interface Io {
  readonly parent?: Buffer;
  readonly id: Buffer;
  readonly num?: number;
  readonly time?: Moment;
  readonly flags?: number;
  readonly offset?: number;
  readonly size?: number;
}

/** Io attributes, which stand before the bytes of a body. */
export function encodeIo(io: Io): Buffer {
  const bytes = Buffer.alloc(ioSize);
  io.parent?.copy(bytes, 0, 0, idSize);
  io.id.copy(bytes, 64, 0, idSize);
  writeUint64(bytes, io.num ?? 0, 136);
  writeUint64(bytes, io.time?.seconds ?? 0, 144);
  writeUint64(bytes, io.time?.nanoseconds ?? 0, 152);
  bytes.writeUInt32LE(io.flags ?? 0, 188);
  writeUint64(bytes, io.offset ?? 0, 192);
  writeUint64(bytes, io.size ?? 0, 200);
  return bytes;
}

/** A part of an object that was read. */
export interface Content {
  readonly time: Moment;
  /** Of the whole object, in bytes. */
  readonly totalSize: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** The body of an answer to READ. */
export function decodeContent(body: Buffer): Content {
  atLeast(body, ioSize);
  const size = readUint64(body, 200);
  if (size !== body.length - ioSize)
    throw new ProtocolError(`${size} bytes were said to follow, not ${body.length - ioSize}`);
  const [totalSize, offset] = [readUint64(body, 168), readUint64(body, 192)];
  if (offset + size > totalSize) throw new ProtocolError(`${size} bytes from ${offset} are not in ${totalSize}`);
  return { time: decodeMoment(body, 144), totalSize, offset, bytes: body.subarray(ioSize) };
}

/** What is known of an object without reading it. */
export interface FileInfo {
  readonly size: number;
  readonly time: Moment;
}

/** The body of an answer to LOOKUP and to WRITE; that of an appending write has the size of what was added. */
export function decodeFileInfo(body: Buffer): FileInfo {
  atLeast(body, fileInfoSize);
  return { size: readUint64(body, 112), time: decodeMoment(body, 128) };
}

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
  /** What a host's name is looked up for. */
  readonly family?: 4 | 6;
}

/** A place where a server keeps objects of a group, with the parts of the ring that begin at `ids`. */
export interface Backend {
  readonly backend: number;
  readonly group: number;
  /** Servers say so of one that they have no longer. */
  readonly isGone: boolean;
  readonly ids: readonly Buffer[];
}

/** Addresses of servers, each of which has so many. */
export interface AddressList {
  readonly perNode: number;
  readonly addresses: readonly Address[];
}

/** The body of an answer to ROUTE_LIST. */
export function decodeRouteList(body: Buffer): AddressList {
  return takeAddresses(new Cursor(body));
}

/** The body of an answer to REVERSE_LOOKUP. */
export function decodeHandshake(body: Buffer): AddressList & { readonly backends: readonly Backend[] } {
  const cursor = new Cursor(body);
  const list = takeAddresses(cursor);
  return { ...list, backends: takeBackends(cursor) };
}

/** The body of UPDATE_IDS. */
export function decodeBackends(body: Buffer): readonly Backend[] {
  return takeBackends(new Cursor(body));
}

/** A tag, or a shard of its table, with the data that an object has there. */
export interface IndexEntry {
  readonly id: Buffer;
  readonly data?: Buffer;
  readonly flags?: number;
  readonly shard?: number;
  readonly shards?: number;
}

/** What is to be done with entries; the group inside matters to servers where they take entries away. */
export interface IndexRequest {
  readonly id: Buffer;
  readonly group?: number;
  readonly flags?: number;
  readonly shard?: number;
  readonly shards?: number;
  readonly entries: readonly IndexEntry[];
}

/** The body of INDEXES_UPDATE, INDEXES_INTERNAL and INDEXES_FIND. */
export function encodeIndexRequest({ id, group = 0, flags = 0, shard = 0, shards = 0, entries }: IndexRequest): Buffer {
  const bytes = Buffer.alloc(requestSize);
  id.copy(bytes, 0, 0, idSize);
  bytes.writeUInt32LE(group, 64);
  bytes.writeUInt32LE(flags, 76);
  bytes.writeUInt32LE(shard, 80);
  bytes.writeUInt32LE(shards, 84);
  writeUint64(bytes, entries.length, 128);
  return Buffer.concat([bytes, ...entries.flatMap(encodeEntry)]);
}

function encodeEntry({ id, data, flags = 0, shard = 0, shards = 0 }: IndexEntry): readonly Buffer[] {
  const bytes = Buffer.alloc(entrySize);
  id.copy(bytes, 0, 0, idSize);
  writeUint64(bytes, flags, 64);
  bytes.writeUInt32LE(shard, 76);
  bytes.writeUInt32LE(shards, 80);
  writeUint64(bytes, data?.length ?? 0, 116);
  return data ? [bytes, data] : [bytes];
}

/** The statuses of the entries that a body answering INDEXES_UPDATE or INDEXES_INTERNAL tells of. */
export function decodeIndexReply(body: Buffer): readonly number[] {
  atLeast(body, 48);
  const count = readUint64(body, 40);
  if (body.length !== 48 + count * 84) throw new ProtocolError(`${count} entries are not ${body.length} bytes`);
  return Array.from({ length: count }, (_, index) => body.readInt32LE(48 + index * 84 + idSize));
}

function takeAddresses(cursor: Cursor): AddressList {
  const perNode = cursor.uint32();
  const total = cursor.uint32();
  const pieces = cursor.pieces(total, addressSize);
  return { perNode, addresses: pieces.map(decodeAddress) };
}

function takeBackends(cursor: Cursor): readonly Backend[] {
  const count = cursor.uint32();
  const backends: Backend[] = [];
  for (let index = 0; index < count; index++) {
    const [backend, group, flags] = [cursor.uint32() | 0, cursor.uint32(), cursor.uint32()];
    backends.push({ backend, group, isGone: (flags & 1) !== 0, ids: cursor.pieces(cursor.uint32(), idSize) });
  }
  return backends;
}

/** A raw socket address. Of an unknown family, it is one that nobody can connect to. */
function decodeAddress(bytes: Buffer): Address {
  const family = bytes.readUInt16LE(30);
  const port = bytes.readUInt16BE(2);
  if (family === 2) return { host: bytes.subarray(4, 8).join("."), port };
  if (family !== 10) return { host: "", port: 0 };
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(8 + 2 * index).toString(16));
  return { host: canonicalHost(groups.join(":")), port };
}

/** One spelling of each address. */
export function canonicalHost(host: string): string {
  if (!host.includes(":")) return host;
  const [address = "", zone] = host.split("%");
  const plain = URL.canParse(`http://[${address}]`) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
  return zone === undefined ? plain : `${plain}%${zone}`;
}

function decodeMoment(bytes: Buffer, offset: number): Moment {
  return { seconds: readUint64(bytes, offset), nanoseconds: readUint64(bytes, offset + 8) };
}

function atLeast(body: Buffer, size: number): void {
  if (body.length < size) throw new ProtocolError(`a body of ${body.length} bytes is too short`);
}

/** Reads on from where it is, never beyond the end. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  uint32(): number {
    return this.#take(4).readUInt32LE(0);
  }

  /** The count is checked before anything is made of it. */
  pieces(count: number, size: number): readonly Buffer[] {
    const bytes = this.#take(count * size);
    return Array.from({ length: count }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
  }

  #take(size: number): Buffer {
    if (size > this.#bytes.length - this.#at) throw new ProtocolError("a body ends too early");
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }
}
