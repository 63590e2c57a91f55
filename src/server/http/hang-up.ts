import type { Exchange } from "./body.ts";

/** The client went away before it had its answer. Nobody's fault: not reported, not mailed. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";

  constructor() {
    super("The client closed the connection");
  }
}

const codes = new Set(["ECONNRESET", "EPIPE", "ECANCELED", "ERR_STREAM_PREMATURE_CLOSE", "ERR_STREAM_DESTROYED"]);

/**
 * Whether `error` only says that this client hung up. A broken connection to a backend looks alike, so the client's
 * own connection must be gone too.
 */
export function isHangUp(error: Error, { req }: Pick<Exchange, "req">): boolean {
  if (error instanceof ClientGone) return true;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return req.socket.destroyed && (codes.has(code) || error.message === "aborted");
}
