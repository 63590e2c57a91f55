import type { IncomingMessage } from "node:http";
import type { Context } from "koa";
import { announcedLength, isAwaitingContinue, receivedBytes } from "./body.ts";

/** What Node reads and drops by itself without anyone noticing, in bytes. */
const short = 64 * 1024;
/** How much of a refused body is read, in bytes, and for how long at most, in milliseconds. */
const patience = { bytes: 64 * 1024 * 1024, time: 10_000 };

/** Whether the client is still sending more than is worth reading. */
export function hasLongUnreadBody(request: IncomingMessage): boolean {
  if (request.complete || request.destroyed || isAwaitingContinue(request)) return false;
  if (request.headers["transfer-encoding"] !== undefined) return true;
  return (announcedLength(request) ?? 0) - receivedBytes(request) > short;
}

/**
 * Sends an answer to a request whose body is not wanted, and closes the connection. Closing at once would reset it,
 * and most clients then never see the answer; so what they still send is dropped for a while first.
 */
export async function linger(ctx: Context, body: Uint8Array): Promise<void> {
  ctx.respond = false;
  ctx.res.setHeader("Connection", "close");
  ctx.res.flushHeaders();
  if (ctx.method !== "HEAD" && body.length > 0) ctx.res.write(body);
  await dropped(ctx.req);
  ctx.res.end();
}

async function dropped(request: IncomingMessage): Promise<void> {
  let bytes = 0;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, patience.time);
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    request.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes > patience.bytes) end();
    });
    request.on("end", end).on("close", end).on("error", end);
    request.resume();
  });
}
