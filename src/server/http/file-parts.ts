import type { FileHandle } from "node:fs/promises";

/** Parts begin at multiples of this, so that they are the same for everyone; in bytes. */
const partSize = 1_048_576;
/** How many parts are lent at once at most, and how many are kept that nobody has any more. */
const mostLent = 6;
const mostKept = 2;

/** A piece of a file in memory. */
export interface Part {
  readonly start: number;
  /** The first byte of the file that belongs to another part. */
  readonly end: number;
  /** Fewer than were wanted when the file is shorter. Rejects when they can't be read. */
  readonly bytes: Promise<Buffer>;
  /** To be called once, when nothing reads the bytes any more on the borrower's behalf. */
  giveBack(): void;
}

/** An open file whose parts are shared. `identity` is the same for all who have it open, and another after a change. */
export interface SharedFile {
  readonly handle: FileHandle;
  readonly identity: string;
  readonly size: number;
}

/** What sharing needs to know of an open file. */
export async function shared(handle: FileHandle): Promise<SharedFile> {
  const { dev, ino, ctimeNs, size } = await handle.stat({ bigint: true });
  return { handle, identity: `${dev}:${ino}:${ctimeNs}:${size}`, size: Number(size) };
}

/**
 * Lends the part with the byte at `position`, or nothing beyond the file's end and while too many are lent. It may be read through the handle of
 * any of its borrowers: a file is closed after all that was borrowed for it has settled. Each part is in memory once: when
 * many take the same file, as machines do that start the same image, those behind need not read what those ahead have
 * read. Buffers are used again, because new ones would fill the memory faster than it is collected.
 */
export function borrow(file: SharedFile, position: number): Part | undefined {
  if (position >= file.size) return undefined;
  const start = position - (position % partSize);
  const key = `${file.identity}:${start}`;
  const found = parts.get(key);
  if (found) return found.lent();
  if (parts.size - kept.size >= mostLent) return undefined;
  const buffer = kept.size < mostKept ? Buffer.allocUnsafeSlow(partSize) : forgetOldest();
  const part = new SharedPart(key, start, buffer, fill(file, start, buffer));
  parts.set(key, part);
  return part.lent();
}

const parts = new Map<string, SharedPart>();
/** Those that nobody has, in the order in which they were given back. */
const kept = new Set<SharedPart>();

class SharedPart implements Part {
  readonly start: number;
  readonly bytes: Promise<Buffer>;
  readonly buffer: Buffer;
  readonly #key: string;
  #borrowers = 0;

  constructor(key: string, start: number, buffer: Buffer, bytes: Promise<Buffer>) {
    this.#key = key;
    this.start = start;
    this.buffer = buffer;
    this.bytes = bytes;
    // Whoever awaits it sees its failure, and others shall try again.
    bytes.catch(() => {
      this.forget();
    });
  }

  get end(): number {
    return this.start + partSize;
  }

  lent(): this {
    this.#borrowers += 1;
    kept.delete(this);
    return this;
  }

  giveBack(): void {
    this.#borrowers -= 1;
    if (this.#borrowers > 0 || parts.get(this.#key) !== this) return;
    kept.add(this);
    if (kept.size > mostKept) forgetOldest();
  }

  forget(): void {
    kept.delete(this);
    if (parts.get(this.#key) === this) parts.delete(this.#key);
  }
}

/** Answers the buffer of what was unused for longest. */
function forgetOldest(): Buffer {
  const [oldest] = kept;
  if (!oldest) return Buffer.allocUnsafeSlow(partSize);
  oldest.forget();
  return oldest.buffer;
}

async function fill({ handle, size }: SharedFile, start: number, buffer: Buffer): Promise<Buffer> {
  const wanted = Math.min(partSize, size - start);
  let length = 0;
  while (length < wanted) {
    const { bytesRead } = await handle.read(buffer, length, wanted - length, start + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
