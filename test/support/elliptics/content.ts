import { randomUUID } from "node:crypto";
import { closeSync, copyFileSync, ftruncateSync, openSync, readSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs"; // prettier-ignore
import { join } from "node:path";

/** What is larger than so many bytes is kept in a file. */
const mostInMemory = 262_144;
const block = 262_144;

/** Bytes that a request brought: in memory, or in a file that is the taker's to rename or to remove. */
export type Piece = Buffer | { readonly path: string; readonly size: number };

/** Bytes to send: in memory, or a part of an open file that is closed when it is sent. */
export type Sendable = Buffer | { readonly file: number; readonly start: number; readonly end: number };

export function lengthOf(piece: Piece): number {
  return Buffer.isBuffer(piece) ? piece.length : piece.size;
}

/** The name of a new file. */
export function newPath(folder: string): string {
  return join(folder, randomUUID());
}

/** The bytes of an object. Who has a slice of it keeps what it was, also when it is discarded. */
export class Content {
  readonly #folder: string;
  #bytes: Buffer | undefined = Buffer.alloc(0);
  #path = "";
  #size = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get size(): number {
    return this.#size;
  }

  /** Puts `piece` at an offset; what lies between the end and there becomes zeros. */
  write(offset: number, piece: Piece): void {
    const end = offset + lengthOf(piece);
    const before = this.#size;
    this.#size = Math.max(before, end);
    if (this.#bytes && Buffer.isBuffer(piece) && this.#size <= mostInMemory) {
      const grown = Buffer.alloc(this.#size);
      this.#bytes.copy(grown);
      piece.copy(grown, offset);
      this.#bytes = grown;
      return;
    }
    if (this.#bytes) {
      this.#path = newPath(this.#folder);
      if (before === 0 && offset === 0 && !Buffer.isBuffer(piece)) {
        renameSync(piece.path, this.#path);
        this.#bytes = undefined;
        return;
      }
      writeFileSync(this.#path, this.#bytes);
      this.#bytes = undefined;
    }
    const file = openSync(this.#path, "r+");
    if (Buffer.isBuffer(piece)) writeSync(file, piece, 0, piece.length, offset);
    else {
      const source = openSync(piece.path, "r");
      for (const chunk of blocks(source, 0, piece.size)) writeSync(file, chunk.bytes, 0, chunk.bytes.length, offset + chunk.at);
      closeSync(source);
      rmSync(piece.path);
    } // prettier-ignore
    closeSync(file);
  }

  /** A copy of the first `size` bytes. */
  head(size: number): Content {
    const copy = new Content(this.#folder);
    copy.#size = size;
    if (this.#bytes) {
      copy.#bytes = Buffer.alloc(size);
      this.#bytes.copy(copy.#bytes);
      return copy;
    }
    copy.#bytes = undefined;
    copy.#path = newPath(this.#folder);
    copyFileSync(this.#path, copy.#path);
    const file = openSync(copy.#path, "r+");
    ftruncateSync(file, size);
    closeSync(file);
    return copy;
  }

  slice(start: number, end: number): Sendable {
    if (this.#bytes) return this.#bytes.subarray(start, end);
    return { file: openSync(this.#path, "r"), start, end };
  }

  discard(): void {
    if (!this.#bytes) rmSync(this.#path, { force: true });
  }
}

/** The bytes to send, a block at a time; the file is closed at the end. */
export function* chunksOf(piece: Sendable): Generator<Buffer> {
  if (Buffer.isBuffer(piece)) {
    yield piece;
    return;
  }
  try {
    for (const { bytes } of blocks(piece.file, piece.start, piece.end)) yield bytes;
  } finally {
    closeSync(piece.file);
  }
}

function* blocks(file: number, start: number, end: number): Generator<{ readonly bytes: Buffer; readonly at: number }> {
  for (let at = start; at < end;) {
    const bytes = Buffer.allocUnsafe(Math.min(block, end - at));
    const length = readSync(file, bytes, 0, bytes.length, at);
    if (length === 0) throw new Error("a file of the test server is shorter than it was");
    yield { bytes: bytes.subarray(0, length), at: at - start };
    at += length;
  }
}
