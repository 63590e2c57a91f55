import type { Readable } from "node:stream";

/** Bytes of a buffer. Fewer cost more turns of the event loop; twice as many are hardly cheaper. */
const size = 524_288;
/** So many are kept that nobody has. */
const mostKept = 8;

const kept: Buffer[] = [];
/** Those that somebody has, by their memory. */
const lent = new WeakMap<ArrayBufferLike, Buffer>();

/** A stream whose reader is the only one who has its chunks, and may give them back by this. */
export type Lending = Readable & { readonly giveBack: (chunk: Uint8Array) => void };

/**
 * A buffer for what is read, which was used before: of a fresh one the kernel clears each page, which costs as much as to
 * fill it. It is the caller's until it is given back; one that never is, is garbage like any other.
 */
export function lend(): Buffer {
  const buffer = kept.pop() ?? Buffer.allocUnsafeSlow(size);
  lent.set(buffer.buffer, buffer);
  return buffer;
}

/** Takes back the buffer that `chunk` lies in, which nothing may read any more; does nothing with a chunk of other memory. */
export function giveBack(chunk: Uint8Array): void {
  const buffer = lent.get(chunk.buffer);
  if (!buffer) return;
  lent.delete(chunk.buffer);
  if (kept.length < mostKept) kept.push(buffer);
}

/** Tells that whoever reads `stream` is the only one who has its chunks. */
export function asLending(stream: Readable): Lending {
  return Object.assign(stream, { giveBack });
}

/** Whether the chunks of `stream` may be given back. */
export function isLending(stream: Readable): stream is Lending {
  return "giveBack" in stream;
}
