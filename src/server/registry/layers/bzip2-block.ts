import type { BitReader } from "./bit-reader.ts";

const groupLength = 50;
const longestCode = 20;
const pieceLength = 64 * 1024;

/** One block of a bzip2 stream, decoded but for the last steps, which `content` does as it is read. */
export interface Bzip2Block {
  readonly crc: number;
  /** In pieces of 64 KiB: a block of a megabyte can unfold to 46. Fails at its end when the checksum is wrong. */
  content(): Generator<Buffer>;
}

/**
 * Decodes what follows a block's magic number. `work` holds as many entries as the stream's blocks may have, and belongs
 * to the block until its content has been read.
 */
export function decodeBzip2Block(bits: BitReader, work: Uint32Array): Bzip2Block {
  const crc = bits.read32();
  if (bits.read(1) === 1) throw new Error("blocks of bzip2 before 0.9.5 are not supported");
  const origin = bits.read(24);
  const symbols = readSymbols(bits);
  const codes = readCodes(bits, symbols.length + 2);
  const length = readBytes(bits, codes, symbols, work);
  if (origin >= length) throw new Error("a block has no beginning");
  linkBytes(work, length);
  return { crc, content: () => unfolded(work, length, origin, crc) };
}

/** The byte values that the block has. */
function readSymbols(bits: BitReader): number[] {
  const symbols: number[] = [];
  const rows = bits.read(16);
  for (let row = 0; row < 16; row++) {
    if (((rows >>> (15 - row)) & 1) === 0) continue;
    const columns = bits.read(16);
    for (let column = 0; column < 16; column++) {
      if (((columns >>> (15 - column)) & 1) === 1) symbols.push(row * 16 + column);
    }
  }
  if (symbols.length === 0) throw new Error("a block has no symbols");
  return symbols;
}

/** A Huffman code: for each length the first 20-bit value beyond its codes, and what to add to find a code's symbol. */
interface Code {
  readonly shortest: number;
  readonly limits: Uint32Array;
  readonly offsets: Int32Array;
  readonly symbols: Uint16Array;
}

interface Codes {
  readonly codes: readonly Code[];
  /** Which code each group of 50 symbols uses. */
  readonly selectors: Uint8Array;
}

function readCodes(bits: BitReader, alphabet: number): Codes {
  const count = bits.read(3);
  if (count < 2 || count > 6) throw new Error("a block has an impossible number of codes");
  const selectors = new Uint8Array(bits.read(15));
  const recent = Uint8Array.from({ length: count }, (_, index) => index);
  for (let i = 0; i < selectors.length; i++) {
    let position = 0;
    while (bits.read(1) === 1) position++;
    selectors[i] = toFront(recent, position);
  }
  return { selectors, codes: Array.from(recent, () => codeOf(readLengths(bits, alphabet))) };
}

function readLengths(bits: BitReader, alphabet: number): Uint8Array {
  const lengths = new Uint8Array(alphabet);
  let length = bits.read(5);
  for (let symbol = 0; symbol < alphabet; symbol++) {
    for (;;) {
      if (length < 1 || length > longestCode) throw new Error("a code has an impossible length");
      if (bits.read(1) === 0) break;
      length += bits.read(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  return lengths;
}

function codeOf(lengths: Uint8Array): Code {
  const limits = new Uint32Array(longestCode + 1);
  const offsets = new Int32Array(longestCode + 1);
  const symbols = new Uint16Array(lengths.length);
  let code = 0;
  let placed = 0;
  for (let length = 1; length <= longestCode; length++) {
    offsets[length] = placed - code;
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      symbols[placed++] = symbol;
      code++;
    }
    limits[length] = code << (longestCode - length);
    code <<= 1;
  }
  return { shortest: Math.min(...lengths), limits, offsets, symbols };
}

function readSymbol(bits: BitReader, code: Code): number {
  const next = bits.peek(longestCode);
  let length = code.shortest;
  while (next >= (code.limits[length] ?? 0)) {
    if (++length > longestCode) throw new Error("a code is not in use");
  }
  bits.skip(length);
  return code.symbols[(next >>> (longestCode - length)) + (code.offsets[length] ?? 0)] ?? 0;
}

/** Fills `work` with the block's bytes, still in the order of the Burrows-Wheeler transform, and answers their number. */
function readBytes(
  bits: BitReader,
  { codes, selectors }: Codes,
  present: readonly number[],
  work: Uint32Array,
): number {
  const recent = Uint8Array.from(present);
  const end = present.length + 1;
  let length = 0;
  let run = 0;
  let runWeight = 1;
  for (const selector of selectors) {
    const code = codes[selector];
    if (!code) break;
    for (let i = 0; i < groupLength; i++) {
      const symbol = readSymbol(bits, code);
      if (symbol < 2) {
        run += runWeight << symbol;
        runWeight *= 2;
        if (run > work.length) throw new Error("a block is too long");
        continue;
      }
      if (run > 0) {
        if (length + run > work.length) throw new Error("a block is too long");
        work.fill(recent[0] ?? 0, length, length + run);
        length += run;
        run = 0;
        runWeight = 1;
      }
      if (symbol === end) return length;
      if (length === work.length) throw new Error("a block is too long");
      work[length++] = toFront(recent, symbol - 1);
    }
  }
  throw new Error("a block has no end");
}

/** Adds to each byte, above its 8 bits, the place of the byte that follows it in the block. */
function linkBytes(work: Uint32Array, length: number): void {
  const next = new Uint32Array(256);
  for (let i = 0; i < length; i++) count(next, work[i] ?? 0);
  let sum = 0;
  for (let byte = 0; byte < 256; byte++) {
    const times = next[byte] ?? 0;
    next[byte] = sum;
    sum += times;
  }
  for (let i = 0; i < length; i++) {
    const place = count(next, (work[i] ?? 0) & 0xff);
    work[place] = (work[place] ?? 0) | (i << 8);
  }
}

function count(counts: Uint32Array, index: number): number {
  const before = counts[index] ?? 0;
  counts[index] = before + 1;
  return before;
}

/** Follows the links, and repeats a byte that stands four times as often as the byte after it says. */
function* unfolded(work: Uint32Array, length: number, origin: number, expectedCrc: number): Generator<Buffer> {
  let piece = Buffer.allocUnsafe(pieceLength);
  let filled = 0;
  let crc = 0xffffffff;
  let link = (work[origin] ?? 0) >>> 8;
  let previous = -1;
  let same = 0;
  for (let left = length; left > 0; left--) {
    const entry = work[link] ?? 0;
    const byte = entry & 0xff;
    link = entry >>> 8;
    let times = 1;
    if (same === 4) {
      times = byte;
      same = 0;
    } else {
      same = byte === previous ? same + 1 : 1;
      previous = byte;
    }
    for (; times > 0; times--) {
      piece[filled++] = previous;
      crc = (crc << 8) ^ (crcTable[(crc >>> 24) ^ previous] ?? 0);
      if (filled < pieceLength) continue;
      yield piece;
      piece = Buffer.allocUnsafe(pieceLength);
      filled = 0;
    }
    // A repetition ends a run: the same byte may begin another one.
    if (same === 0) previous = -1;
  }
  if (filled > 0) yield piece.subarray(0, filled);
  if (~crc >>> 0 !== expectedCrc) throw new Error("a block's checksum is wrong");
}

/** The CRC of bzip2: that of Ethernet with the highest bit first. */
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
  return crc;
});

function toFront(list: Uint8Array, position: number): number {
  const value = list[position];
  if (value === undefined) throw new Error("a block names what it does not have");
  if (position < 16) for (let i = position; i > 0; i--) list[i] = list[i - 1] ?? 0;
  else list.copyWithin(1, 0, position);
  list[0] = value;
  return value;
}
