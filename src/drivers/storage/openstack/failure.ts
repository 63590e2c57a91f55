import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { DriverError, type DriverErrorCode } from "../errors.ts";

/** An answer that is no success, in the server's own words; those hold no secret of ours. */
export class HttpFailure extends Error {
  override readonly name = "HttpFailure";
  readonly status: number;
  readonly headers: IncomingHttpHeaders;

  constructor(status: number, said: string, headers: IncomingHttpHeaders = {}) {
    super([`HTTP ${status}`, said].filter((part) => part !== "").join(" "));
    this.status = status;
    this.headers = headers;
  }

  /** The server says that it has done nothing, and why: it has too much to do. Swift says 498 where it counts requests. */
  get isBusy(): boolean {
    return this.status === 503 || this.status === 429 || this.status === 498;
  }
}

/** More of an answer is not read: no server explains itself at such length. */
const longestAnswer = 65_536;
const longestMessage = 500;

/** Reads what a server says of a failure; the connection is free afterwards. */
export async function readFailure(answer: {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}): Promise<HttpFailure> {
  let text = "";
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    if (text.length < longestAnswer) text += chunk.toString("latin1");
  }
  return new HttpFailure(answer.status, wordsOf(text), answer.headers);
}

/** What a status means where only a service can tell: undefined is UNAVAILABLE. */
export type Meaning = (failure: HttpFailure) => { readonly code: DriverErrorCode; readonly text?: string } | undefined;

/** What `error` means to the caller; `subject` begins its message where `meaning` has no text of its own. */
export function driverError(error: unknown, subject: string, meaning: Meaning): DriverError {
  if (error instanceof DriverError) return error;
  const known = error instanceof HttpFailure ? meaning(error) : meaningOfTrouble(error);
  const reason = error instanceof Error ? error.message || codeOf(error) : String(error);
  const isPlain = known?.code === "NOT_FOUND";
  const text = known?.text === undefined ? `${subject}: ${reason}` : known.text + (isPlain ? "" : ` (${reason})`);
  return new DriverError(known?.code ?? "UNAVAILABLE", text, { cause: error });
}

/** No answer at all: only certificates are the operator's to correct. */
function meaningOfTrouble(error: unknown): ReturnType<Meaning> {
  const isUntrusted = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/.test(codeOf(error));
  if (!isUntrusted) return undefined;
  return { code: "REFUSED", text: "the server's certificate is not trusted: name its authority by swift_cacert" };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** What people can read of HTML, of JSON with a message, and of text. */
function wordsOf(text: string): string {
  const message = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  const words = message ?? text.replace(/<title>.*?<\/title>/gis, " ").replace(/<[^>]*>/g, " ");
  return words.replace(/\s+/g, " ").trim().slice(0, longestMessage);
}
