import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import type { ByteRange } from "./range.ts";

/** Several parts of an object as one body. */
export interface Multipart {
  readonly boundary: string;
  /** Of the whole body, in bytes. */
  readonly length: number;
  readonly source: Readable;
}

/**
 * The `multipart/byteranges` body of parts of an object (RFC 9110, 14.6). The first part is opened at once, so that its
 * failure can still be answered; the others when their turn comes.
 */
export async function multipart(
  object: { readonly size: number; readonly open: (range?: ByteRange) => Promise<Readable> },
  ranges: readonly ByteRange[],
): Promise<Multipart> {
  const boundary = randomUUID();
  const close = `\r\n--${boundary}--\r\n`;
  const heads = ranges.map(
    ({ start, end }) =>
      `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${start}-${end - 1}/${object.size}\r\n\r\n`,
  );
  const length = ranges.reduce((sum, { start, end }, at) => sum + (heads[at]?.length ?? 0) + end - start, close.length);
  let opened: Readable | undefined = await object.open(ranges[0]);
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      for (const [at, range] of ranges.entries()) {
        yield Buffer.from(heads[at] ?? "");
        opened ??= await object.open(range);
        yield* opened as AsyncIterable<Uint8Array>;
        opened = undefined;
      }
      yield Buffer.from(close);
    } finally {
      opened?.destroy();
    }
  }
  const source = Readable.from(body(), { objectMode: false });
  // A body that is given up before it is begun never gets to its `finally`.
  source.once("close", () => opened?.destroy());
  return { boundary, length, source };
}
