import { Readable } from "node:stream";
import { asLending } from "../lent-chunks.ts";
import { longBody } from "../long-body.ts";

/** How a download goes on after its connection broke. */
export interface Resumption {
  /** Opens the rest, behind so many bytes. */
  readonly reopen: (received: number) => Promise<Readable>;
  /** Turns what went wrong into what the reader is told. */
  readonly fault: (error: unknown) => Error;
}

/** So often in a row a download goes on without a byte more than before. */
const attempts = 3;

/** So many bytes wait for the reader, so that the connection need not stop for each piece. */
const ahead = 262_144;

/**
 * A stream of the `length` bytes that `first` is the answer with. When the connection breaks, the rest is asked for
 * again: the reader sees one object, whole, or an error. A slow reader slows the server.
 */
export function download(first: Readable, length: number, { reopen, fault }: Resumption): Readable {
  let source = first;
  let received = 0;
  let isWanted = false;
  let tries = attempts;
  /** Why there is nothing to read from, until the reader wants more: a server gives up on who is slow, again and again. */
  let broken: { readonly error: unknown } | undefined;
  const stream = new Readable({
    highWaterMark: ahead,
    read() {
      isWanted = true;
      if (broken) resume(broken.error);
      else source.resume();
    },
    destroy(error, done) {
      source.destroy();
      done(error);
    },
  });

  const resume = (error: unknown): void => {
    broken = undefined;
    if (stream.destroyed || tries-- === 0) {
      stream.destroy(fault(error));
      return;
    }
    reopen(received).then(
      (response) => {
        if (stream.destroyed) response.destroy();
        else attach(response);
      },
      (failure: unknown) => void stream.destroy(fault(failure)),
    );
  };

  const tooShort = (): Error => new Error(`the server sent ${received} of ${length} bytes`);

  const attach = (answer: Readable): void => {
    const response = longBody(answer);
    source = response;
    let isOver = false;
    const end = (error?: Error): void => {
      if (isOver) return;
      isOver = true;
      if (received === length) stream.push(null);
      else if (isWanted) resume(error ?? tooShort());
      else broken = { error: error ?? tooShort() };
    };
    response.pause();
    response.on("data", (chunk: Buffer) => {
      received += chunk.length;
      tries = attempts;
      if (received > length) {
        isOver = true;
        stream.destroy(fault(new Error(`the server sent more than the ${length} bytes it promised`)));
      } else if (!stream.push(chunk)) {
        isWanted = false;
        response.pause();
      }
    });
    response.once("end", () => {
      end();
    });
    response.once("error", end);
    response.once("close", () => {
      end();
    });
    if (isWanted) response.resume();
  };

  attach(first);
  return asLending(stream);
}
