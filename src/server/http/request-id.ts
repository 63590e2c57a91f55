import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";

const ids = new WeakMap<IncomingMessage, string>();
const sane = /^[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}$/;

/**
 * The id that a request has in logs, reports and answers: its `X-Request-Id` when that is harmless text of at most
 * 128 characters, else a new UUID. The same request always has the same id.
 */
export function requestId(request: IncomingMessage): string {
  const known = ids.get(request);
  if (known !== undefined) return known;
  const given = request.headers["x-request-id"];
  const id = typeof given === "string" && sane.test(given) ? given : randomUUID();
  ids.set(request, id);
  return id;
}
