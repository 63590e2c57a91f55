import { crc32 } from "node:zlib";

/** What a journal says of an object: its content, or without it that what was said before counts no more. */
export interface JournalRecord {
  readonly key: string;
  readonly content: Uint8Array | undefined;
  /** When it was written, in milliseconds since 1970. */
  readonly time: number;
}

/** What a segment of a journal begins with. */
export interface SegmentHeader {
  /** Segments are in the order of their numbers. */
  readonly serial: number;
  /** Random: what lies in the file from its use before, and what clients have sent, can't be taken for records of this one. */
  readonly id: Buffer;
  /** The start of the machine that the process ran after; empty where it isn't known. */
  readonly boot: string;
}

const magic = "rctljrn1";
/** In bytes. The records begin behind the header. */
export const headerLength = 512;
export const idLength = 16;
const serialAt = magic.length;
const idAt = serialAt + 8;
const bootAt = idAt + idLength;
const checksumAt = headerLength - 4;

export function encodeHeader({ serial, id, boot }: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(headerLength);
  bytes.write(magic, "latin1");
  bytes.writeDoubleBE(serial, serialAt);
  id.copy(bytes, idAt);
  bytes.write(boot, bootAt, checksumAt - bootAt, "latin1");
  bytes.writeUInt32BE(crc32(bytes.subarray(0, checksumAt)), checksumAt);
  return bytes;
}

/** What the header says, or undefined when the segment is not in use. */
export function decodeHeader(segment: Buffer): SegmentHeader | undefined {
  if (segment.length < headerLength || segment.toString("latin1", 0, magic.length) !== magic) return undefined;
  if (segment.readUInt32BE(checksumAt) !== crc32(segment.subarray(0, checksumAt))) return undefined;
  const boot = segment.toString("latin1", bootAt, checksumAt).replace(/\0.*$/s, "");
  return { serial: segment.readDoubleBE(serialAt), id: segment.subarray(idAt, bootAt), boot };
}

/** A record: id, checksum and length of the rest, then whether it has content, time, length of the key, key, content. */
const lengthAt = idLength + 4;
const kindAt = lengthAt + 4;
const timeAt = kindAt + 1;
const keyLengthAt = timeAt + 8;
const keyAt = keyLengthAt + 2;

/** How much room a record takes. */
export function recordLength({ key, content }: JournalRecord): number {
  return keyAt + Buffer.byteLength(key) + (content?.length ?? 0);
}

export function encodeRecord(id: Buffer, record: JournalRecord): Buffer {
  const { key, content, time } = record;
  const bytes = Buffer.allocUnsafe(recordLength(record));
  id.copy(bytes);
  bytes.writeUInt32BE(bytes.length - kindAt, lengthAt);
  bytes.writeUInt8(content ? 1 : 0, kindAt);
  bytes.writeDoubleBE(time, timeAt);
  const keyLength = bytes.write(key, keyAt);
  bytes.writeUInt16BE(keyLength, keyLengthAt);
  if (content) bytes.set(content, keyAt + keyLength);
  bytes.writeUInt32BE(crc32(bytes.subarray(lengthAt)), idLength);
  return bytes;
}

/** The records of a segment, up to the first that is not whole: what comes then was never acknowledged. */
export function* decodeRecords(segment: Buffer, id: Buffer): Generator<JournalRecord> {
  for (let at = headerLength; at + keyAt <= segment.length;) {
    const rest = segment.subarray(at);
    if (!rest.subarray(0, idLength).equals(id)) return;
    const end = kindAt + rest.readUInt32BE(lengthAt);
    if (end < keyAt || end > rest.length) return;
    const record = rest.subarray(0, end);
    if (record.readUInt32BE(idLength) !== crc32(record.subarray(lengthAt))) return;
    const contentAt = keyAt + record.readUInt16BE(keyLengthAt);
    yield {
      key: record.toString("utf8", keyAt, contentAt),
      content: record.readUInt8(kindAt) === 1 ? record.subarray(contentAt) : undefined,
      time: record.readDoubleBE(timeAt),
    };
    at += end;
  }
}
