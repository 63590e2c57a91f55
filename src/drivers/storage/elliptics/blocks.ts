import { DriverError } from "../errors.ts";
import type { Objects, Step } from "./objects.ts";

/** So much is written by one frame. What fits into one is written at once, so that no reader ever sees a part of it. */
export const blockSize = 1_048_576;

/** What `source` yields in pieces of a block's size, but for the last. */
export async function* blocksOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + blockSize - length);
      at += piece.length;
      length += piece.length;
      pieces.push(piece);
      if (length < blockSize) continue;
      yield Buffer.concat(pieces);
      pieces = [];
      length = 0;
    }
  }
  if (length > 0) yield Buffer.concat(pieces);
}

/**
 * Writes an object of more than one block: of a known `total` into a place that is reserved for it, where nobody sees it
 * before its end; else by appending. What was there is gone at once, and two who write to the same key destroy each other's
 * work. Groups that refuse a block get no more. Rejects when more than half don't have all in the end.
 */
export async function writeBlocks(
  objects: Objects,
  name: string,
  blocks: AsyncIterable<Buffer>,
  total: number | undefined,
): Promise<{ readonly size: number; readonly modified: Date }> {
  let groups = objects.groups.numbers;
  let offset = 0;
  let modified = new Date(0);
  let writing: Promise<void> = Promise.resolve();
  // While a block is written the next one is fetched.
  const send = (block: Buffer, step: Step): void => {
    offset += block.length;
    writing = writing.then(async () => {
      const written = await objects.write(name, block, step, groups);
      ({ groups, modified } = written);
    });
    writing.catch(() => undefined);
  };
  // The last one says that it is the last: a source that fails at its end must not have said it.
  let held: Buffer | undefined;
  for await (const block of blocks) {
    await writing;
    if (total === undefined) send(block, offset === 0 ? { kind: "whole" } : { kind: "append" });
    else {
      if (held) send(held, offset === 0 ? { kind: "prepare", total } : { kind: "plain", offset });
      held = block;
    }
  }
  await writing;
  if (held && total !== undefined) send(held, offset === 0 ? { kind: "whole" } : { kind: "commit", offset, total });
  await writing;
  const whole = (await objects.lookup(name)).filter(({ value }) => value.size === offset);
  if (whole.length < objects.groups.quorum) {
    throw new DriverError("UNAVAILABLE", `${name}: ${whole.length} groups have all of its ${offset} bytes`);
  }
  return { size: offset, modified };
}
