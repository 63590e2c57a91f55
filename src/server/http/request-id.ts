import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";

const header = "x-request-id";
const sane = /^[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}$/;

/**
 * The id that a request has in logs, reports and answers: its `X-Request-Id` when that is harmless text of at most
 * 128 characters, else a new UUID, which becomes that header. So the same request always has the same id.
 */
export function requestId({ headers }: Pick<IncomingMessage, "headers">): string {
  const given = headers[header];
  if (typeof given === "string" && sane.test(given)) return given;
  const id = randomUUID();
  headers[header] = id;
  return id;
}
