import { BitReader, Underflow } from "./bit-reader.ts";
import { decodeBzip2Block } from "./bzip2-block.ts";

const blockMagic = 0x314159265359;
const endMagic = 0x177245385090;

/** A block of 900,000 symbols of 20 bits each and its tables take less. */
const mostBuffered = 4 * 1024 * 1024;

/**
 * Unpacks bzip2, of one stream or of several one after the other, as pbzip2 writes it. What follows the last stream is
 * ignored, as bzip2 does. Holds one block at a time: 3.6 MB, and less than a megabyte of input unless that is odd.
 */
export async function* bunzip2(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const input = new BlockInput(source);
  for (let first = true; first || (await input.startsStream()); first = false) {
    const level = await input.parse(32, readLevel);
    const work = new Uint32Array(100_000 * level);
    // Blocks hardly grow by being compressed.
    const likely = 8 * (100_000 * level + 25_000);
    let streamCrc = 0;
    for (;;) {
      const block = await input.parse(likely, (bits) => {
        if (readMagic(bits) === blockMagic) return decodeBzip2Block(bits, work);
        checkEnd(bits, streamCrc);
        return undefined;
      });
      if (!block) break;
      yield* block.content();
      streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ block.crc) >>> 0;
    }
    input.align();
  }
}

function readLevel(bits: BitReader): number {
  const isStream = bits.read(24) === 0x425a68;
  const level = bits.read(8) - 0x30;
  if (!isStream || level < 1 || level > 9) throw new Error("this is no bzip2 stream");
  return level;
}

function readMagic(bits: BitReader): number {
  const magic = bits.read(24) * 0x1000000 + bits.read(24);
  if (magic !== blockMagic && magic !== endMagic) throw new Error("a block does not begin as one");
  return magic;
}

function checkEnd(bits: BitReader, streamCrc: number): void {
  if (bits.read32() !== streamCrc) throw new Error("the stream's checksum is wrong");
}

/** The bytes from the next bit on, as many as have been needed. */
class BlockInput {
  readonly #source: AsyncIterator<Uint8Array>;
  #bytes: Buffer = Buffer.alloc(0);
  #bit = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Lets `read` have at least `likely` bits, and more as long as it finds too few; then passes over what it read. */
  async parse<T>(likely: number, read: (bits: BitReader) => T): Promise<T> {
    for (let wanted = Math.ceil((this.#bit + likely) / 8); ; wanted = this.#bytes.length + 256 * 1024) {
      await this.#fill(wanted);
      const bits = new BitReader(this.#bytes, this.#bit);
      try {
        const result = read(bits);
        this.#bytes = this.#bytes.subarray(bits.position >>> 3);
        this.#bit = bits.position & 7;
        return result;
      } catch (error) {
        if (!(error instanceof Underflow) || this.#ended || this.#bytes.length > mostBuffered) throw error;
      }
    }
  }

  /** Passes over what is left of a byte that has been begun. */
  align(): void {
    if (this.#bit > 0) this.#bytes = this.#bytes.subarray(1);
    this.#bit = 0;
  }

  async startsStream(): Promise<boolean> {
    await this.#fill(4);
    return /^BZh[1-9]/.test(this.#bytes.toString("latin1", 0, 4));
  }

  async #fill(length: number): Promise<void> {
    if (this.#bytes.length >= length || this.#ended) return;
    const chunks: Uint8Array[] = [this.#bytes];
    let filled = this.#bytes.length;
    while (filled < length) {
      const next = await this.#source.next();
      if (next.done === true) {
        this.#ended = true;
        break;
      }
      chunks.push(next.value);
      filled += next.value.length;
    }
    this.#bytes = Buffer.concat(chunks);
  }
}
