import { Buffer } from "node:buffer";
import type { Context, Middleware } from "koa";
import { RegistryError, type ErrorCode } from "../errors.ts";
import { ClientGone, isHangUp } from "./hang-up.ts";
import { hasLongUnreadBody, linger } from "./linger.ts";
import { requestId } from "./request-id.ts";

/** What a client is told of a request that failed. For a fault, `message` names nothing but the request's id. */
export interface Failure {
  readonly status: number;
  readonly code: ErrorCode | "INTERNAL";
  readonly message: string;
  readonly detail: string | undefined;
}

/** A failure in the form of one protocol. `headers` are added to the answer. */
export interface Rendered {
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How failures are answered, and who is told of faults. `onFault` must not throw. */
export interface ErrorHandling {
  readonly render: (failure: Failure, ctx: Context) => Rendered;
  readonly onFault: (error: Error, ctx: Context) => void;
}

/** RFC 9110, 15.5.9: whoever was too slow is not waited for any longer. */
const timedOut = 408;
const failures = new WeakMap<Context["req"], Error>();
const keptHeaders = ["allow", "connection", "location", "range", "retry-after", "www-authenticate"];

/** Why a request failed, once `errorHandling` has seen it; for the request log. */
export function failureOf(request: Context["req"]): Error | undefined {
  return failures.get(request);
}

/**
 * The one exit for errors: everything the inner middleware throws becomes an answer here. A `RegistryError` is told
 * as it is; a client that hung up is told nothing; anything else is a fault: `onFault` is called and the client gets
 * a 500 without internals. Headers set further out are kept, those of the failed answer are dropped (but `Allow`,
 * `Location`, `Range`, `Retry-After` and `WWW-Authenticate`). An answer that had begun is cut, so that it never looks complete.
 */
export function errorHandling({ render, onFault }: ErrorHandling): Middleware {
  return async (ctx, next) => {
    const outerHeaders = ctx.res.getHeaders();
    try {
      await next();
    } catch (thrown) {
      const error =
        thrown instanceof Error ? thrown : new Error(`Something that is no error was thrown: ${String(thrown)}`);
      failures.set(ctx.req, error);
      const isFault = !(error instanceof RegistryError) && !isHangUp(error, ctx);
      if (isFault) onFault(error, ctx);
      if (error instanceof ClientGone || ctx.res.headersSent || ctx.req.socket.destroyed) {
        cut(ctx);
      } else {
        const failure = failureFor(error, ctx);
        if (error instanceof RegistryError && error.retryAfter !== undefined)
          ctx.set("Retry-After", String(error.retryAfter));
        await answer(ctx, outerHeaders, failure.status, render(failure, ctx));
      }
    }
  };
}

/**
 * For `app.on("error")`: Koa emits what fails outside the middleware there, mostly sockets that clients closed. Passes
 * on only what is a fault.
 */
export function strayErrors(onFault: ErrorHandling["onFault"]): (error: Error, ctx?: Context) => void {
  return (error, ctx) => {
    if (ctx && !isHangUp(error, ctx)) onFault(error, ctx);
  };
}

function failureFor(error: Error, ctx: Context): Failure {
  if (error instanceof RegistryError) {
    return { status: error.status, code: error.code, message: error.message, detail: error.detail };
  }
  const message = `Internal error (request ${requestId(ctx.req)})`;
  return { status: 500, code: "INTERNAL", message, detail: undefined };
}

/** Ends the connection without ending the answer: the client sees that it is incomplete. */
function cut(ctx: Context): void {
  ctx.respond = false;
  if (!ctx.res.writableFinished) ctx.req.socket.destroy();
}

async function answer(
  ctx: Context,
  outerHeaders: NodeJS.Dict<number | string | string[]>,
  status: number,
  rendered: Rendered,
): Promise<void> {
  for (const name of ctx.res.getHeaderNames()) {
    const outer = outerHeaders[name];
    if (outer !== undefined) ctx.res.setHeader(name, outer);
    else if (!keptHeaders.includes(name)) ctx.res.removeHeader(name);
  }
  const body = Buffer.from(rendered.body);
  // Who took the answer from Koa has not come to begin it.
  ctx.respond = true;
  ctx.status = status;
  ctx.body = body;
  ctx.set({ "Content-Type": rendered.type, "Content-Length": String(body.length), ...rendered.headers });
  if (status === timedOut) ctx.set("Connection", "close");
  if (hasLongUnreadBody(ctx.req)) await linger(ctx, body);
}
