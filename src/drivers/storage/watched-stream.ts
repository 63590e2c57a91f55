import { Readable } from "node:stream";
import { asLending, isLending } from "./lent-chunks.ts";

/** What happens to a stream on its way to its reader. */
export interface StreamWatch {
  /** The reader asks for more; it is the backend's turn. */
  asked?(): void;
  /** So many bytes came; it is the reader's turn. */
  passed?(bytes: number): void;
  /** Nothing more will come: it ended, the backend failed with `error`, or the reader has left. Called once. */
  closed?(error?: Error): void;
}

/** Passes `stream` on as it is, and tells `watch` about it. Holds no bytes of its own. */
export function watchStream(stream: Readable, watch: StreamWatch): Readable {
  let failure: Error | undefined;
  const watched = new Readable({
    highWaterMark: 0,
    read() {
      watch.asked?.();
      stream.resume();
    },
    destroy(error, done) {
      stream.destroy();
      watch.closed?.(failure);
      done(error);
    },
  });
  const fail = (error: Error): void => {
    if (watched.destroyed) return;
    failure = error;
    watched.destroy(error);
  };
  stream.pause();
  stream.on("data", (chunk: Uint8Array) => {
    watch.passed?.(chunk.length);
    if (!watched.push(chunk)) stream.pause();
  });
  stream.once("end", () => watched.push(null));
  stream.once("error", fail);
  stream.once("close", () => {
    if (!stream.readableEnded) fail(new Error("the stream was closed before its end"));
  });
  return isLending(stream) ? asLending(watched) : watched;
}

/** Passes `source` on as it is, and tells when it is asked for more and when it has answered. */
export async function* watchSource(
  source: AsyncIterable<Uint8Array>,
  watch: { readonly asked: () => void; readonly passed: (bytes: number) => void },
): AsyncGenerator<Uint8Array> {
  watch.asked();
  for await (const chunk of source) {
    watch.passed(chunk.length);
    yield chunk;
    watch.asked();
  }
  watch.passed(0);
}
