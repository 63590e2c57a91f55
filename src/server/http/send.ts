import { setImmediate } from "node:timers/promises";
import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { Context } from "koa";
import { ClientGone } from "./hang-up.ts";
import { multipart } from "./multipart.ts";
import { parseRange, parseRanges, type ByteRange } from "./range.ts";
import { openFile, sendFile } from "./send-file.ts";
import { taken } from "./taken.ts";

/** Bytes of an object. `giveBack`, where there is one, is to be called with each chunk that nothing reads any more. */
export type Source = Readable & { readonly giveBack?: (chunk: Uint8Array) => void };

/** An object to be sent: its whole size in bytes, and how to open all or a part of it. */
export interface Sendable {
  readonly size: number;
  readonly open: (range?: ByteRange) => Promise<Source>;
  /** The file on this machine that holds the bytes, or undefined; it is quicker to read than a stream. */
  readonly localPath?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Seconds that a client may take nothing before it is cut off; 0 is for ever. */
  readonly idleTimeout?: number;
}

/** How much is handed to the socket before other requests get their turn, in bytes. */
const turn = 1024 * 1024;

/**
 * Answers GET or HEAD with an object or the part that `Range` asks for: 200, 206 or 416 (empty, as docker needs to
 * see that it has everything). Resolves when all is sent. `open` is called before the headers go out, so its
 * rejection is still an answer; a source that fails or ends early later rejects after the headers, which
 * `errorHandling` turns into a cut connection. Rejects with `ClientGone` when the client leaves or stalls.
 */
export async function sendObject(ctx: Context, object: Sendable): Promise<void> {
  const range = wantedRange(ctx, object);
  ctx.set({ "Content-Type": "application/octet-stream", ...object.headers, "Accept-Ranges": "bytes" });
  if (range === "unsatisfiable") {
    refuseRange(ctx, object);
    return;
  }
  const { start, end } = range ?? { start: 0, end: object.size };
  const isEmpty = ctx.method === "HEAD" || start === end;
  const file = isEmpty || object.localPath === undefined ? undefined : await openFile(object.localPath);
  const source = isEmpty || file ? undefined : await object.open(range);
  ctx.status = range ? 206 : 200;
  if (range) ctx.set("Content-Range", `bytes ${start}-${end - 1}/${object.size}`);
  ctx.set("Content-Length", String(end - start));
  const response = begin(ctx);
  if (file) await sendFile(file, { start, end }, response, object.idleTimeout ?? 0);
  else if (source) await copy(source, response, end - start, object.idleTimeout ?? 0);
  else response.end();
}

/**
 * As `sendObject`, but a request for several ranges is answered with `multipart/byteranges` (RFC 9110, 14.6) instead of
 * the whole.
 */
export async function sendRanges(ctx: Context, object: Sendable): Promise<void> {
  const ranges = rangesApply(ctx, object) ? parseRanges(ctx.get("Range"), object.size) : undefined;
  if (ranges === undefined) {
    await sendObject(ctx, object);
    return;
  }
  ctx.set({ ...object.headers, "Accept-Ranges": "bytes" });
  if (ranges === "unsatisfiable") {
    refuseRange(ctx, object);
    return;
  }
  const { boundary, length, source } = await multipart(object, ranges);
  ctx.status = 206;
  ctx.set({ "Content-Type": `multipart/byteranges; boundary=${boundary}`, "Content-Length": String(length) });
  await copy(source, begin(ctx), length, object.idleTimeout ?? 0);
}

function wantedRange(ctx: Context, object: Sendable): ReturnType<typeof parseRange> {
  return rangesApply(ctx, object) ? parseRange(ctx.get("Range"), object.size) : undefined;
}

/** `If-Range` with another validator than ours means that the client's part is of another object: send it whole. */
function rangesApply(ctx: Context, { headers = {} }: Sendable): boolean {
  if (ctx.method !== "GET") return false;
  const condition = ctx.get("If-Range");
  return condition === "" || [headers["ETag"], headers["Last-Modified"]].includes(condition);
}

function refuseRange(ctx: Context, { size }: Sendable): void {
  ctx.status = 416;
  ctx.set({ "Content-Range": `bytes */${size}`, "Content-Length": "0" });
  begin(ctx).end();
}

/** Takes the response from Koa: what is sent here is awaited here. */
function begin(ctx: Context): ServerResponse {
  ctx.respond = false;
  return ctx.res;
}

/**
 * The last bytes are held back until the source has ended: an object that is not what was promised must not look
 * complete, and a client that hangs up as soon as it has everything must not look as if it had left.
 */
async function copy(source: Source, response: ServerResponse, length: number, idleTimeout: number): Promise<void> {
  const leave = (): void => {
    source.destroy(new ClientGone());
  };
  response.once("close", leave);
  if (response.destroyed || response.req.socket.destroyed) leave();
  // What is longer than a turn, and so passes in parts, was never lent.
  const done = source.giveBack ?? (() => undefined);
  let last: Uint8Array | undefined;
  let sent = 0;
  let sentThisTurn = 0;
  try {
    for await (const part of parts(source)) {
      sent += part.length;
      if (sent > length) throw new Error(`The storage has more bytes than the ${length} it promised`);
      if (sent === length) last = part;
      else if (!write(response, part, done))
        await taken(response, idleTimeout, (drained) => response.once("drain", drained));
      sentThisTurn += part.length;
      if (sentThisTurn >= turn) {
        sentThisTurn = 0;
        await setImmediate();
      }
    }
    if (sent < length) throw new Error(`The storage ended after ${sent} of ${length} bytes`);
    response.end(last);
    await taken(response, idleTimeout, (finished) => response.once("finish", finished));
    if (last) done(last);
  } finally {
    response.off("close", leave);
    source.destroy();
  }
}

/** Answers false when the socket has to drain first; `done` gets the part when nothing reads it any more. */
function write(response: ServerResponse, part: Uint8Array, done: (part: Uint8Array) => void): boolean {
  return response.write(part, (error) => {
    if (!error) done(part);
  });
}

/** What a source yields, in parts that are neither empty nor too large for one turn. */
async function* parts(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    for (let offset = 0; offset < chunk.length; offset += turn) yield chunk.subarray(offset, offset + turn);
  }
}
