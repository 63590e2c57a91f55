import { ProtocolError } from "./failure.ts";

/** What servers put into tables and answers: numbers, bytes, and lists of these. */
export type Value = number | Buffer | readonly Value[];

/** No table has lists in lists as deep. */
const deepest = 8;

/**
 * Reads one value of the dialect of msgpack that was before 2013, where bytes and texts were the same: all are bytes here.
 * Throws `ProtocolError` at anything else, also at what follows the value.
 */
export function decodeMsgpack(bytes: Buffer): Value {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (!reader.isAtEnd) throw new ProtocolError("there is more than one value");
  return value;
}

/** The list that `value` is, which has at least `length` values. Throws `ProtocolError` where it isn't one. */
export function listIn(value: Value | undefined, length = 0): readonly Value[] {
  if (!isList(value) || value.length < length) throw new ProtocolError("there should be a list");
  return value;
}

/** The bytes that `value` is. Throws `ProtocolError` where it is something else. */
export function bytesIn(value: Value | undefined): Buffer {
  if (!Buffer.isBuffer(value)) throw new ProtocolError("there should be bytes");
  return value;
}

function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): Value {
    if (depth > deepest) throw new ProtocolError("lists are too deep");
    const kind = this.#number(1);
    if (kind <= 0x7f) return kind;
    if (kind >= 0x90 && kind <= 0x9f) return this.#list(kind & 0x0f, depth);
    if (kind >= 0xa0 && kind <= 0xbf) return this.#raw(kind & 0x1f);
    switch (kind) {
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.#number(2 ** (kind - 0xcc));
      case 0xda:
      case 0xdb:
        return this.#raw(this.#number(kind === 0xda ? 2 : 4));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#number(kind === 0xdc ? 2 : 4), depth);
      default:
        throw new ProtocolError(`a value begins with ${kind}`);
    }
  }

  /** Grows as values come: a length that is not true makes nothing large. */
  #list(length: number, depth: number): readonly Value[] {
    const values: Value[] = [];
    while (values.length < length) values.push(this.value(depth + 1));
    return values;
  }

  #raw(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new ProtocolError("a value ends too early");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #number(length: number): number {
    const bytes = this.#raw(length);
    if (length <= 4) return bytes.readUIntBE(0, length);
    const high = bytes.readUInt32BE(0);
    if (high >= 2 ** 21) throw new ProtocolError("a number is larger than 2^53");
    return high * 2 ** 32 + bytes.readUInt32BE(4);
  }
}
