/** The numbers of the commands, by their names. */
export const commands = {
  LOOKUP: 1, REVERSE_LOOKUP: 2, JOIN: 3, WRITE: 4, READ: 5, ROUTE_LIST: 8, DEL: 11,
  INDEXES_UPDATE: 20, INDEXES_INTERNAL: 21, INDEXES_FIND: 22, UPDATE_IDS: 24,
} as const; // prettier-ignore

export type CommandName = keyof typeof commands;

/** Flags of a header. */
export const flag = { needAck: 1, more: 2, direct: 8, noLock: 0x10, checksum: 0x20, reply: 0x200 } as const;

/** Flags of io attributes. */
export const ioFlag = {
  append: 2, prepare: 0x10, commit: 0x20, plain: 0x200, checksum: 0x4000, noFileInfo: 0x4000, casTimestamp: 0x8000,
} as const; // prettier-ignore

/** Statuses, which are the numbers that Linux has for errors. */
export const status = {
  missing: -2,
  tooBig: -7,
  invalid: -22,
  readOnly: -30,
  mismatch: -77,
  unsupported: -95,
} as const;

export const headerSize = 120;
export const ioSize = 208;
const requestSize = 136;
const entrySize = 124;

/** The head of a frame. `size` is that of the body behind it. */
export interface Header {
  readonly id: Buffer;
  readonly group: number;
  readonly reserved: bigint;
  readonly status: number;
  readonly command: number;
  readonly backend: number;
  readonly trace: bigint;
  readonly flags: number;
  readonly transaction: bigint;
  readonly size: number;
}

/** The first 120 bytes of a frame, read. */
export function parseHeader(bytes: Buffer): Header {
  return {
    id: Buffer.from(bytes.subarray(0, 64)),
    group: bytes.readUInt32LE(64),
    reserved: bytes.readBigUInt64LE(68),
    status: bytes.readInt32LE(76),
    command: bytes.readUInt32LE(80),
    backend: bytes.readInt32LE(84),
    trace: bytes.readBigUInt64LE(88),
    flags: Number(bytes.readBigUInt64LE(96)),
    transaction: bytes.readBigUInt64LE(104),
    size: Number(bytes.readBigUInt64LE(112)),
  };
}

/** The 120 bytes of a header; what isn't given is 0. */
export function headerBytes(header: Partial<Header> & Pick<Header, "command">): Buffer {
  const bytes = Buffer.alloc(headerSize);
  header.id?.copy(bytes, 0);
  bytes.writeUInt32LE(header.group ?? 0, 64);
  bytes.writeInt32LE(header.status ?? 0, 76);
  bytes.writeUInt32LE(header.command, 80);
  bytes.writeInt32LE(header.backend ?? 0, 84);
  bytes.writeBigUInt64LE(header.trace ?? 0n, 88);
  bytes.writeBigUInt64LE(BigInt(header.flags ?? 0), 96);
  bytes.writeBigUInt64LE(header.transaction ?? 0n, 104);
  bytes.writeBigUInt64LE(BigInt(header.size ?? 0), 112);
  return bytes;
}

/** A moment as the protocol has it. */
export interface Moment {
  readonly seconds: bigint;
  readonly nanoseconds: bigint;
}

/** Io attributes. */
export interface Io {
  readonly parent: Buffer;
  readonly id: Buffer;
  readonly start: bigint;
  readonly num: number;
  readonly time: Moment;
  readonly userFlags: bigint;
  readonly totalSize: number;
  readonly recordFlags: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
}

export function parseIo(bytes: Buffer): Io {
  return {
    parent: Buffer.from(bytes.subarray(0, 64)),
    id: Buffer.from(bytes.subarray(64, 128)),
    start: bytes.readBigUInt64LE(128),
    num: Number(bytes.readBigUInt64LE(136)),
    time: { seconds: bytes.readBigUInt64LE(144), nanoseconds: bytes.readBigUInt64LE(152) },
    userFlags: bytes.readBigUInt64LE(160),
    totalSize: Number(bytes.readBigUInt64LE(168)),
    recordFlags: Number(bytes.readBigUInt64LE(176)),
    flags: bytes.readUInt32LE(188),
    offset: Number(bytes.readBigUInt64LE(192)),
    size: Number(bytes.readBigUInt64LE(200)),
  };
}

export function ioBytes(io: Partial<Io> & Pick<Io, "id">): Buffer {
  const bytes = Buffer.alloc(ioSize);
  io.parent?.copy(bytes, 0);
  io.id.copy(bytes, 64);
  bytes.writeBigUInt64LE(BigInt(io.num ?? 0), 136);
  bytes.writeBigUInt64LE(io.time?.seconds ?? 0n, 144);
  bytes.writeBigUInt64LE(io.time?.nanoseconds ?? 0n, 152);
  bytes.writeBigUInt64LE(io.userFlags ?? 0n, 160);
  bytes.writeBigUInt64LE(BigInt(io.totalSize ?? 0), 168);
  bytes.writeBigUInt64LE(BigInt(io.recordFlags ?? 0), 176);
  bytes.writeUInt32LE(io.flags ?? 0, 188);
  bytes.writeBigUInt64LE(BigInt(io.offset ?? 0), 192);
  bytes.writeBigUInt64LE(BigInt(io.size ?? 0), 200);
  return bytes;
}

/** What a record is, as LOOKUP and WRITE tell. */
export interface FileInfo {
  readonly checksum?: Buffer;
  readonly recordFlags: number;
  readonly size: number;
  readonly time: Moment;
}

/** The body of an answer to LOOKUP and WRITE. */
export function fileInfoBytes(address: Buffer, info: FileInfo): Buffer {
  const name = Buffer.from("/srv/elliptics/data/n1/b1/data-0.0\0");
  const bytes = Buffer.alloc(144 + name.length);
  address.copy(bytes, 0);
  bytes.writeUInt32LE(name.length, 32);
  info.checksum?.copy(bytes, 36);
  bytes.writeBigUInt64LE(BigInt(info.recordFlags), 104);
  bytes.writeBigUInt64LE(BigInt(info.size), 112);
  bytes.writeBigUInt64LE(144n, 120);
  bytes.writeBigUInt64LE(info.time.seconds, 128);
  bytes.writeBigUInt64LE(info.time.nanoseconds, 136);
  name.copy(bytes, 144);
  return bytes;
}

/** An address of this machine as the protocol has it: a socket's address, its length, its family. */
export function addressBytes(family: 2 | 10, port: number, host: Buffer): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt16LE(family, 0);
  bytes.writeUInt16BE(port, 2);
  host.copy(bytes, family === 2 ? 4 : 8);
  bytes.writeUInt16LE(family === 2 ? 16 : 28, 28);
  bytes.writeUInt16LE(family, 30);
  return bytes;
}

/** One tag in a request about indexes. */
export interface TagEntry {
  readonly id: Buffer;
  readonly flags: number;
  readonly shard: number;
  readonly shards: number;
  readonly data: Buffer;
}

/** A request about indexes. */
export interface TagRequest {
  readonly id: Buffer;
  readonly group: number;
  readonly flags: number;
  readonly shard: number;
  readonly shards: number;
  readonly entries: readonly TagEntry[];
}

/** All requests in a body; throws when it is not what its own numbers say. */
export function parseTagRequests(body: Buffer): readonly TagRequest[] {
  const requests: TagRequest[] = [];
  let at = 0;
  const take = (size: number): Buffer => {
    if (at + size > body.length) throw new RangeError(`an index request ends behind its body of ${body.length}`);
    at += size;
    return body.subarray(at - size, at);
  };
  const unused = (bytes: Buffer, what: string): void => {
    if (bytes.some((byte) => byte !== 0)) throw new RangeError(`${what} is not 0`);
  };
  while (at < body.length) {
    const request = take(requestSize);
    unused(request.subarray(68, 76), "reserved in an index request's id");
    unused(request.subarray(88, 128), "reserved in an index request");
    const entries: TagEntry[] = [];
    for (let left = request.readBigUInt64LE(128); left > 0n; left--) {
      const entry = take(entrySize);
      unused(entry.subarray(72, 76), "limit of an index entry");
      unused(entry.subarray(84, 116), "reserved in an index entry");
      const data = take(Number(entry.readBigUInt64LE(116)));
      const [flags, shard, shards] = [
        Number(entry.readBigUInt64LE(64)),
        entry.readUInt32LE(76),
        entry.readUInt32LE(80),
      ];
      entries.push({ id: entry.subarray(0, 64), flags, shard, shards, data });
    }
    const [group, flags, shard, shards] = [64, 76, 80, 84].map((offset) => request.readUInt32LE(offset));
    requests.push({
      id: request.subarray(0, 64),
      group: group!,
      flags: flags!,
      shard: shard!,
      shards: shards!,
      entries,
    });
  }
  return requests;
}

/** The bytes of a request about indexes. */
export function tagRequestBytes({ id, group, flags, shard, shards, entries }: TagRequest): Buffer {
  const head = Buffer.alloc(requestSize);
  id.copy(head, 0);
  for (const [offset, value] of [[64, group], [76, flags], [80, shard], [84, shards]] as const) head.writeUInt32LE(value, offset); // prettier-ignore
  head.writeBigUInt64LE(BigInt(entries.length), 128);
  const tails = entries.flatMap((entry) => {
    const bytes = Buffer.alloc(entrySize);
    entry.id.copy(bytes, 0);
    bytes.writeBigUInt64LE(BigInt(entry.flags), 64);
    bytes.writeUInt32LE(entry.shard, 76);
    bytes.writeUInt32LE(entry.shards, 80);
    bytes.writeBigUInt64LE(BigInt(entry.data.length), 116);
    return [bytes, entry.data];
  });
  return Buffer.concat([head, ...tails]);
}

/** The body of an answer that tells what became of each index. */
export function tagReplyBytes(ids: readonly Buffer[]): Buffer {
  const bytes = Buffer.alloc(48 + 84 * ids.length);
  bytes.writeBigUInt64LE(BigInt(ids.length), 40);
  for (const [position, id] of ids.entries()) id.copy(bytes, 48 + 84 * position);
  return bytes;
}

/** An object that was found by its tags. */
export interface FoundObject {
  readonly id: Buffer;
  readonly tags: readonly (readonly [id: Buffer, data: Buffer])[];
}

/** The body of an answer to FIND, in the old dialect of msgpack. */
export function foundBytes(objects: readonly FoundObject[]): Buffer {
  return Buffer.concat([
    array(objects.length),
    ...objects.flatMap(({ id, tags }) => [
      array(3), Buffer.of(1), raw(id), array(tags.length), ...tags.flatMap(([tag, data]) => [array(2), raw(tag), raw(data)]),
    ]), // prettier-ignore
  ]);
}

/** A line of a table: a tag of an object, or an object of a tag. */
export interface TableEntry {
  readonly id: Buffer;
  readonly data: Buffer;
  readonly time: Moment;
}

/** A table as the object that it is. */
export function tableBytes(entries: readonly TableEntry[], shard: number, shards: number): Buffer {
  const sorted = [...entries].sort((a, b) => Buffer.compare(a.id, b.id));
  return Buffer.concat([
    Buffer.of(0x27, 0x40, 0x73, 0xe7, 0xfb, 0x8c, 0xa3, 0x5d),
    array(4),
    unsigned(2n),
    array(sorted.length),
    ...sorted.flatMap(({ id, data, time }) => [array(4), raw(id), raw(data), unsigned(time.seconds), unsigned(time.nanoseconds)]),
    unsigned(BigInt(shard)),
    unsigned(BigInt(shards)),
  ]); // prettier-ignore
}

function unsigned(value: bigint): Buffer {
  if (value < 0x80n) return Buffer.of(Number(value));
  if (value < 0x100n) return Buffer.of(0xcc, Number(value));
  if (value < 0x1_0000n) return Buffer.of(0xcd, Number(value >> 8n), Number(value & 0xffn));
  if (value < 0x1_0000_0000n) return number32(0xce, Number(value));
  const bytes = Buffer.alloc(9, 0xcf);
  bytes.writeBigUInt64BE(value, 1);
  return bytes;
}

function array(length: number): Buffer {
  if (length < 16) return Buffer.of(0x90 | length);
  return length < 0x10000 ? Buffer.of(0xdc, length >> 8, length & 255) : number32(0xdd, length);
}

function raw(bytes: Buffer): Buffer {
  const { length } = bytes;
  const head = length < 32 ? Buffer.of(0xa0 | length) : length < 0x10000 ? Buffer.of(0xda, length >> 8, length & 255) : number32(0xdb, length); // prettier-ignore
  return Buffer.concat([head, bytes]);
}

function number32(type: number, value: number): Buffer {
  const bytes = Buffer.of(type, 0, 0, 0, 0);
  bytes.writeUInt32BE(value, 1);
  return bytes;
}
