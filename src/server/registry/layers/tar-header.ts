import { unsupported } from "./unsupported.ts";

export const blockSize = 512;

/** One 512-byte header as it is written (POSIX ustar, GNU tar and V7); names are bytes, of any encoding. */
export interface TarHeader {
  readonly name: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  /** One character; NUL in V7 archives. */
  readonly typeflag: string;
  readonly linkname: Buffer;
  readonly uname: Buffer;
  readonly gname: Buffer;
  readonly devmajor: number;
  readonly devminor: number;
}

/** Undefined for the block of zeros that ends an archive. Fails with LAYER_UNSUPPORTED when it is no header. */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  const written = number(block, 148, 8);
  const [unsigned, signed] = checksums(block);
  if (written === 0 && unsigned === emptySum) return undefined;
  if (written !== unsigned && written !== signed) throw unsupported("a tar header's checksum is wrong");
  const hasOwners = block.toString("latin1", 257, 262) === "ustar";
  const typeflag = block.toString("latin1", 156, 157);
  // GNU tar has times and sparse maps where POSIX has the first part of a long name.
  const prefix = hasOwners && block[262] === 0 ? text(block, 345, 155) : nothing;
  const name = text(block, 0, 100);
  return {
    name: prefix.length > 0 ? Buffer.concat([prefix, slash, name]) : name,
    mode: number(block, 100, 8),
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    mtime: number(block, 136, 12),
    typeflag,
    linkname: text(block, 157, 100),
    uname: hasOwners ? text(block, 265, 32) : nothing,
    gname: hasOwners ? text(block, 297, 32) : nothing,
    devmajor: hasOwners ? number(block, 329, 8) : 0,
    devminor: hasOwners ? number(block, 337, 8) : 0,
  };
}

/** What GNU tar's old sparse format keeps in the place of a prefix: the size of the file, and whether more map follows. */
export function oldSparse(block: Buffer): { readonly size: number; readonly extended: boolean } {
  return { size: number(block, 483, 12), extended: block[482] === 1 };
}

/** Whether a block of an old sparse file's map is followed by another one. */
export function sparseMapGoesOn(block: Buffer): boolean {
  return block[504] === 1;
}

/** The bytes before the first NUL. */
export function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

const nothing = Buffer.alloc(0);
const slash = Buffer.from("/");
const emptySum = 8 * 0x20;

function text(block: Buffer, start: number, length: number): Buffer {
  return untilNul(block.subarray(start, start + length));
}

/** The sum over the header, its own field read as spaces; some old programs took bytes for signed. */
function checksums(block: Buffer): readonly [unsigned: number, signed: number] {
  let unsigned = emptySum;
  let high = 0;
  for (let i = 0; i < blockSize; i++) {
    if (i === 148) i = 156;
    const byte = block[i] ?? 0;
    unsigned += byte;
    if (byte > 127) high++;
  }
  return [unsigned, unsigned - 256 * high];
}

/** Octal digits, or GNU's base 256 when the first bit is set. */
function number(block: Buffer, start: number, length: number): number {
  if ((block[start] ?? 0) >= 0x80) return base256(block.subarray(start, start + length));
  let value = 0;
  let state: "before" | "within" | "after" = "before";
  for (let i = start; i < start + length; i++) {
    const byte = block[i] ?? 0;
    if (byte === 0) break;
    if (byte === 0x20) {
      if (state === "within") state = "after";
    } else if (state !== "after" && byte >= 0x30 && byte <= 0x37) {
      state = "within";
      value = value * 8 + (byte - 0x30);
    } else {
      throw unsupported("a tar header has a number that is none");
    }
  }
  return value;
}

function base256(field: Buffer): number {
  const bits = field.length * 8;
  const raw = BigInt(`0x${field.toString("hex")}`);
  const negative = ((field[0] ?? 0) & 0x40) !== 0;
  const value = Number(negative ? BigInt.asIntN(bits, raw) : BigInt.asUintN(bits - 1, raw));
  if (!Number.isSafeInteger(value)) throw unsupported("a tar header has a number that is too large");
  return value;
}
