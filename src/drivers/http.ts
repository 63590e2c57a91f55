import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";

/** A request as it is sent. Times in milliseconds. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A stream of unknown length is sent in chunks; with `content-length` among the headers it must have that length. */
  readonly body?: Buffer | Readable | string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long the answer may take to begin. */
  readonly patience: number;
  /** How long its body may say nothing. */
  readonly idle: number;
}

/** The beginning of an answer, of whatever status. The body has to be read to its end or destroyed; a slow reader slows the server. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

/** Idle connections are let go of before a server does, in milliseconds: a request that meets its close is lost. */
export const keepAlive = 4_000;

/** Sends a request. Rejects with whatever kept it from an answer. */
export async function sendHttp(dispatcher: Dispatcher, request: HttpRequest): Promise<HttpAnswer> {
  const { method, url, headers, body, signal, patience, idle } = request;
  const { statusCode, ...answer } = await dispatcher.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method,
    headers: { ...headers },
    headersTimeout: patience,
    bodyTimeout: idle,
    // Else the connection is closed after each HEAD, in case the server sends a body after all, which it must not.
    reset: false,
    ...(body !== undefined && { body }),
    ...(signal && { signal }),
  });
  // Who lets go of an answer early, or never looks at it, is told nothing more.
  answer.body.on("error", () => undefined);
  return { status: statusCode, headers: answer.headers, body: answer.body };
}

/** More than this of what nobody wants is not read to keep a connection, in bytes. */
const mostUnwanted = 65_536;

/** Lets go of an answer whose body nobody wants; a short one keeps its connection. */
export function discard({ body }: Pick<HttpAnswer, "body">): void {
  let read = 0;
  body.on("data", (chunk: Uint8Array) => {
    read += chunk.length;
    if (read > mostUnwanted) body.destroy();
  });
}
