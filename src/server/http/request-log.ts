import type { IncomingMessage, ServerResponse } from "node:http";
import type { Middleware } from "koa";
import { RegistryError } from "../errors.ts";
import type { Log } from "../log.ts";
import { receivedBytes } from "./body.ts";
import { failureOf } from "./errors.ts";
import type { Client } from "./proxy.ts";
import { requestId } from "./request-id.ts";

/** What may be told of a request, to logs and reports: no query, no credentials, nothing of unbounded length. */
export interface RequestFacts {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly remoteAddress: string;
  readonly userAgent: string;
}

/** How a request ended. `status` is undefined when nothing was sent; `received` is of the body, `sent` of all, in bytes. */
export interface RequestEnd {
  readonly status: number | undefined;
  readonly received: number;
  readonly sent: number;
  readonly milliseconds: number;
}

/** Told that a request has begun; what it answers is told how it ended, once. Neither may throw. */
export type RequestMeter = (request: IncomingMessage) => (end: RequestEnd) => void;

/** Where requests are noted; those of probes (`quiet` paths) only at level debug. */
export interface RequestLogOptions {
  readonly log: Log;
  readonly clientOf: (request: IncomingMessage) => Client;
  readonly quiet?: readonly string[];
  readonly meter?: RequestMeter | undefined;
}

/** The facts of a request; see `RequestFacts`. */
export function requestFacts(request: IncomingMessage, clientOf: (request: IncomingMessage) => Client): RequestFacts {
  return {
    id: requestId(request),
    method: request.method ?? "",
    path: withoutQuery(request.url ?? "").slice(0, 2048),
    remoteAddress: clientOf(request).address,
    userAgent: (request.headers["user-agent"] ?? "").slice(0, 512),
  };
}

function withoutQuery(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

/** Takes note of a request that has just come, and tells its id. To be called once for each. */
export type RequestNotes = (request: IncomingMessage, response: ServerResponse) => string;

/**
 * Notes every request once, when its answer is sent or its client gone: `status` (absent when nothing was sent),
 * `in` (bytes of the body read), `out` (bytes sent, headers included), `ms`, `aborted`, and what failed.
 */
export function requestNotes({ log, clientOf, quiet = ["/livez", "/readyz"], meter }: RequestLogOptions): RequestNotes {
  return (req, res) => {
    const start = performance.now();
    const sentBefore = req.socket.bytesWritten;
    const facts = requestFacts(req, clientOf);
    const ended = meter?.(req);
    res.on("close", () => {
      const status = res.headersSent ? res.statusCode : undefined;
      const failure = failureOf(req);
      const [received, sent] = [receivedBytes(req), req.socket.bytesWritten - sentBefore];
      const milliseconds = performance.now() - start;
      ended?.({ status, received, sent, milliseconds });
      const line = {
        id: facts.id,
        method: facts.method,
        path: facts.path,
        remoteAddress: facts.remoteAddress,
        userAgent: facts.userAgent,
        status,
        in: received,
        out: sent,
        ms: Math.round(milliseconds * 10) / 10,
        aborted: res.writableFinished ? undefined : true,
        ...(failure && reason(failure)),
      };
      const level = quiet.includes(facts.path) ? "debug" : (status ?? 0) >= 500 ? "error" : "info";
      log[level](line, `${facts.method} ${facts.path} ${status ?? "aborted"}`);
    });
    return facts.id;
  };
}

/** Notes every request, and answers with its id in `X-Request-Id`. It stands outside everything. */
export function requestLog(options: RequestLogOptions): Middleware {
  const note = requestNotes(options);
  return async (ctx, next) => {
    ctx.set("X-Request-Id", note(ctx.req, ctx.res));
    await next();
  };
}

/** Faults have a line of their own, with a stack; a refusal is explained by its code, one that is ours by its cause too. */
function reason(failure: Error): object {
  if (!(failure instanceof RegistryError)) return {};
  const { code, detail, status, cause } = failure;
  return {
    code,
    ...(detail === undefined ? {} : { detail: detail.slice(0, 512) }),
    ...(status >= 500 && cause instanceof Error ? { cause: cause.message } : {}),
  };
}
