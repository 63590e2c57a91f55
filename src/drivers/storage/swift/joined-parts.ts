import { finished, Readable } from "node:stream";
import type { Segment } from "./segments.ts";

/** So many bytes before the end of a part the next is asked for, so that there is no pause between them. */
const ahead = 1_048_576;

/** So many bytes wait for the reader, so that the connection need not stop for each piece. */
const waiting = 262_144;

/**
 * A stream of all parts of `list`, of which `first` is opened already. What `open` answers has the length of its part, or
 * fails; its failures are the stream's. A slow reader slows the server.
 */
export function joinedParts(
  first: Readable,
  list: readonly Segment[],
  open: (part: Segment) => Promise<Readable>,
): Readable {
  let source = first;
  let index = 0;
  let next: Promise<Readable> | undefined;
  let isWanted = false;
  const stream = new Readable({
    highWaterMark: waiting,
    read() {
      isWanted = true;
      source.resume();
    },
    destroy(error, done) {
      source.destroy();
      next?.then((body) => body.destroy()).catch(() => undefined);
      done(error);
    },
  });

  /** The part behind the one that is read; undefined behind the last. */
  const prepare = (): Promise<Readable> | undefined => {
    const part = list[index + 1];
    if (next || !part) return next;
    next = open(part);
    // It is awaited when the part before has ended; until then its failure must not count as nobody's.
    next.catch(() => undefined);
    return next;
  };

  const goOn = async (): Promise<void> => {
    const body = await prepare();
    next = undefined;
    index++;
    if (body === undefined) stream.push(null);
    else if (stream.destroyed) body.destroy();
    else attach(body);
  };

  const attach = (body: Readable): void => {
    source = body;
    let left = list[index]?.size_bytes ?? 0;
    body.on("data", (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= ahead) void prepare();
      if (stream.push(chunk)) return;
      isWanted = false;
      body.pause();
    });
    if (!isWanted) body.pause();
    finished(body, (error) => {
      if (error) stream.destroy(error);
      else
        goOn().catch((failure: unknown) => stream.destroy(new Error("the next part is missing", { cause: failure })));
    });
  };

  attach(first);
  return stream;
}
