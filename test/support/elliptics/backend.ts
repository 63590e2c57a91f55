import { createHash } from "node:crypto";
import { chunksOf, Content, lengthOf, type Piece, type Sendable } from "./content.ts";
import { fileInfoBytes, flag, ioBytes, ioFlag, parseIo, status, type FileInfo, tableBytes, type Header, type Io, type Moment, type TableEntry } from "./wire.ts"; // prettier-ignore

/** One frame of an answer, without what every frame has. */
export interface Reply {
  readonly status?: number;
  readonly body?: readonly Sendable[];
  readonly more?: boolean;
  /** Where it isn't that of the request. */
  readonly id?: Buffer;
}

/** A request that has arrived whole: for WRITE, `piece` is what follows the io attributes. */
export interface Request {
  readonly header: Header;
  readonly body: Buffer;
  readonly piece: Piece;
}

/** Notes what no sound client sends. */
export type Complain = (what: string) => void;

interface Stored {
  readonly content: Content;
  readonly time: Moment;
  readonly userFlags: bigint;
  readonly appended: boolean;
  /** How many bytes are reserved for an object that is not committed. */
  readonly reserved?: number;
}

/** A list of tags or of objects, by their ids in hex. */
export class Table {
  readonly entries = new Map<string, TableEntry>();
  readonly shard: number;
  readonly shards: number;

  constructor(shard = 0, shards = 0) {
    this.shard = shard;
    this.shards = shards;
  }

  set(id: Buffer, data: Buffer): void {
    this.entries.set(id.toString("hex"), { id, data, time: now() });
  }

  delete(id: Buffer): void {
    this.entries.delete(id.toString("hex"));
  }
}

/** The tables that lie under their ids. */
class Tables {
  readonly #tables = new Map<string, Table>();

  find(id: Buffer): Table | undefined {
    return this.#tables.get(id.toString("hex"));
  }

  findOrMake(id: Buffer, shard?: number, shards?: number): Table {
    const table = this.find(id) ?? new Table(shard, shards);
    this.#tables.set(id.toString("hex"), table);
    return table;
  }
}

/** What one backend of a node keeps. It outlives the node's process. */
export class Backend {
  readonly id: number;
  readonly group: number;
  readonly ringIds: readonly Buffer[];
  /** The lists of objects' tags, and those of tags' objects. */
  readonly tables = new Tables();
  readonly #folder: string;
  readonly #objects = new Map<string, Stored>();
  isEnabled = true;
  isReadOnly = false;

  constructor(id: number, group: number, ringIds: readonly Buffer[], folder: string) {
    this.id = id;
    this.group = group;
    this.ringIds = ringIds;
    this.#folder = folder;
  }

  /** How many objects there are, without tables. */
  get objects(): number {
    return this.#objects.size;
  }

  write({ header, body, piece }: Request, address: Buffer, complain: Complain): readonly Reply[] {
    const io = parseIo(body);
    checkWrite(io, header, complain);
    if (this.isReadOnly) return [{ status: status.readOnly }];
    if (io.size !== lengthOf(piece)) complain(`WRITE of ${io.size} bytes with ${lengthOf(piece)} behind the io attributes`);
    const key = header.id.toString("hex");
    const old = this.#objects.get(key);
    if ((io.flags & ioFlag.casTimestamp) !== 0 && old && isOlder(io.time, old.time)) return [{ status: status.mismatch }];
    const kind = io.flags & ~(ioFlag.casTimestamp | ioFlag.noFileInfo);
    const made = this.#written(kind, io, piece, old, complain);
    if (typeof made === "number") return [{ status: made }];
    if (old && old.content !== made.content) old.content.discard();
    this.#objects.set(key, made);
    if ((io.flags & ioFlag.noFileInfo) !== 0) return [{}];
    const size = made.reserved !== undefined ? 0 : kind === ioFlag.append ? io.size : made.content.size;
    return [{ body: [fileInfoBytes(address, { recordFlags: recordFlagsOf(made), size, time: made.time })] }];
  } // prettier-ignore

  read({ header, body }: Request, complain: Complain): readonly Reply[] {
    const io = parseIo(body);
    if (!io.parent.equals(header.id) || !io.id.equals(header.id)) complain("READ with an id that is not the header's");
    const found = this.#committed(header.id);
    if (!found) return [{ status: status.missing }];
    const { size: total } = found.content;
    if (io.offset !== 0 && io.offset >= total) return [{ status: status.tooBig }];
    const end = io.size === 0 ? total : Math.min(total, io.offset + io.size);
    const summed = (io.flags & ioFlag.checksum) !== 0;
    const answer: Io = {
      ...io,
      ...(summed && { parent: checksum(found.content.slice(io.offset, end)) }),
      time: found.time,
      userFlags: found.userFlags,
      totalSize: total,
      recordFlags: recordFlagsOf(found),
      size: end - io.offset,
    };
    return [{ body: [ioBytes(answer), found.content.slice(io.offset, end)] }];
  }

  lookup({ header }: Request, address: Buffer): readonly Reply[] {
    const found = this.#committed(header.id);
    if (!found) return [{ status: status.missing }];
    const { content, time } = found;
    const info: FileInfo = {
      recordFlags: recordFlagsOf(found),
      size: content.size,
      time,
      ...((header.flags & flag.checksum) !== 0 && { checksum: checksum(content.slice(0, content.size)) }),
    };
    return [{ body: [fileInfoBytes(address, info)] }];
  }

  remove({ header, body }: Request, complain: Complain): readonly Reply[] {
    const io = parseIo(body);
    if (!io.parent.equals(header.id) || !io.id.equals(header.id)) complain("DEL with an id that is not the header's");
    if (this.isReadOnly) return [{ status: status.readOnly }];
    const key = header.id.toString("hex");
    const found = this.#objects.get(key);
    if (!found) return [{ status: status.missing }];
    found.content.discard();
    this.#objects.delete(key);
    return [{}];
  }

  discard(): void {
    for (const { content } of this.#objects.values()) content.discard();
  }

  #committed(id: Buffer): Stored | undefined {
    const found = this.#objects.get(id.toString("hex"));
    if (!found) return this.#table(id);
    return found.reserved === undefined ? found : undefined;
  }

  /** A table is an object as any other for those who read. */
  #table(id: Buffer): Stored | undefined {
    const table = this.tables.find(id);
    if (!table) return undefined;
    const content = this.#empty();
    content.write(0, tableBytes([...table.entries.values()], table.shard, table.shards));
    return { content, time: now(), userFlags: 0n, appended: false };
  }

  /** The object as it is after a WRITE, or the status that refuses it. */
  #written(kind: number, io: Io, piece: Piece, old: Stored | undefined, complain: Complain): Stored | number {
    const { time, userFlags, offset, size, num } = io;
    const end = offset + size;
    const isPending = old?.reserved !== undefined;
    switch (kind) {
      case 0: {
        if (size === 0) return status.missing;
        const content = old && offset > 0 ? old.content.head(Math.min(offset, old.content.size)) : this.#empty();
        content.write(offset, piece);
        return { content, time, userFlags, appended: false };
      }
      case ioFlag.append: {
        if (size === 0) return status.missing;
        if (offset !== 0) complain(`APPEND at the offset ${offset}`);
        if (isPending) complain("APPEND to what is not committed");
        const content = old?.content ?? this.#empty();
        content.write(content.size, piece);
        return { content, time, userFlags, appended: true };
      }
      case ioFlag.prepare | ioFlag.plain: {
        if (offset !== 0 || size === 0) complain(`PREPARE of ${size} bytes at the offset ${offset}`);
        if (end > num) return status.tooBig;
        const content = this.#empty();
        content.write(0, piece);
        return { content, time, userFlags, appended: false, reserved: num };
      }
      case ioFlag.plain:
      case ioFlag.plain | ioFlag.commit: {
        const isLast = kind !== ioFlag.plain;
        if (!old) return status.missing;
        if (old.reserved === undefined) {
          complain("PLAIN or COMMIT without PREPARE over an object");
          return status.missing;
        }
        if (end > old.reserved || (isLast && num > old.reserved)) return status.tooBig;
        old.content.write(offset, piece);
        if (!isLast) return { ...old, time };
        if (num !== old.content.size) complain(`COMMIT of ${num} bytes, ${old.content.size} were written`);
        return { content: old.content, time, userFlags, appended: false };
      }
      default:
        complain(`WRITE with the flags 0x${io.flags.toString(16)}`);
        return status.unsupported;
    }
  }

  #empty(): Content {
    return new Content(this.#folder);
  }
}

function checkWrite(io: Io, header: Header, complain: Complain): void {
  if (io.parent.some((byte) => byte !== 0)) complain("WRITE with a parent");
  if (!io.id.equals(header.id)) complain("WRITE with an id that is not the header's");
  if (io.time.seconds < 1_000_000_000n || io.time.nanoseconds >= 1_000_000_000n) complain("WRITE without a time");
  if (io.start !== 0n) complain("WRITE with a lifetime");
}

function now(): Moment {
  const milliseconds = Date.now();
  return { seconds: BigInt(Math.floor(milliseconds / 1000)), nanoseconds: BigInt((milliseconds % 1000) * 1_000_000) };
}

function isOlder(a: Moment, b: Moment): boolean {
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.nanoseconds < b.nanoseconds);
}

function recordFlagsOf({ appended, reserved }: Stored): number {
  return 0x142 | (appended ? 0x10 : 0) | (reserved === undefined ? 0 : 0x80);
}

function checksum(content: Sendable): Buffer {
  const hash = createHash("sha512");
  for (const chunk of chunksOf(content)) hash.update(chunk);
  return hash.digest();
}
