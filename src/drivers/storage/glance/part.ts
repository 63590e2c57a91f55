import { Readable } from "node:stream";
import type { ByteRange } from "../driver.ts";

/** The bytes of `whole` in the range: those before it are read and dropped, and the rest is cut off. */
export function partOf(whole: Readable, range: Required<ByteRange>): Readable {
  return Readable.from(cut(whole, range), { objectMode: false });
}

async function* cut(whole: AsyncIterable<Buffer>, { start, end }: Required<ByteRange>): AsyncGenerator<Buffer> {
  let position = 0;
  for await (const chunk of whole) {
    const wanted = chunk.subarray(Math.max(0, start - position), Math.max(0, end - position));
    position += chunk.length;
    if (wanted.length > 0) yield wanted;
    if (position >= end) return;
  }
}
