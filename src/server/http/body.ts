import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import { RegistryError } from "../errors.ts";
import { milliseconds } from "./timeout.ts";

/** The two sides of a request, as a Koa context and a plain handler have them. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** What a request body may cost: `limit` in bytes, `idleTimeout` in seconds without a byte. Absent or 0: no bound. */
export interface BodyLimits {
  readonly limit?: number;
  readonly idleTimeout?: number;
}

/** How much is read of all bodies together before other requests get their turn, in bytes. */
const turn = 1024 * 1024;

let readThisTurn = 0;
let nextTurn: Promise<void> | undefined;

const awaitingContinue = new WeakSet<IncomingMessage>();
const received = new WeakMap<IncomingMessage, number>();

/**
 * Takes over the answer to `Expect: 100-continue` for a request: the client is told to go on when its body is first
 * read, so a refusal before that spares it the upload.
 */
export function holdContinue(request: IncomingMessage): void {
  awaitingContinue.add(request);
}

/** Whether the client still waits to be told to send its body. */
export function isAwaitingContinue(request: IncomingMessage): boolean {
  return awaitingContinue.has(request);
}

/** How many bytes of the body have been read so far. */
export function receivedBytes(request: IncomingMessage): number {
  return received.get(request) ?? 0;
}

/** The length that the client announced, or undefined (chunked, or no body). */
export function announcedLength(request: IncomingMessage): number | undefined {
  const header = request.headers["content-length"];
  return header === undefined ? undefined : Number(header);
}

/**
 * The body of a request, once, as it comes. Throws BODY_TOO_LARGE at once when the announced length is over the limit;
 * the iteration throws BODY_TOO_LARGE when the counted bytes are, BODY_INCOMPLETE when the client vanishes before the
 * end, BODY_TIMEOUT when it sends nothing for too long. Ending the iteration early leaves the connection usable for
 * an answer. Time that the consumer takes is not counted as idle.
 */
export function requestBody({ req, res }: Exchange, limits: BodyLimits = {}): AsyncIterable<Uint8Array> {
  const limit = limits.limit || Infinity;
  if ((announcedLength(req) ?? 0) > limit) throw tooLarge(limit);
  return receive(req, res, limit, limits.idleTimeout ?? 0);
}

/** The whole body of a request that is small by nature (JSON, a manifest). Rejects as `requestBody` throws. */
export async function bufferedBody(
  exchange: Exchange,
  limits: BodyLimits & { readonly limit: number },
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of requestBody(exchange, limits)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* receive(
  request: IncomingMessage,
  response: ServerResponse,
  limit: number,
  idleTimeout: number,
): AsyncGenerator<Uint8Array> {
  if (awaitingContinue.delete(request) && !response.headersSent) response.writeContinue();
  const wait = waiting(request, idleTimeout);
  try {
    for (;;) {
      const chunk = request.read() as Buffer | null;
      if (chunk !== null) {
        received.set(request, receivedBytes(request) + chunk.length);
        if (receivedBytes(request) > limit) throw tooLarge(limit);
        yield chunk;
        if (isTurnOver(chunk.length)) await nextTurn;
      } else if (request.readableEnded) {
        return;
      } else if (request.destroyed) {
        throw new RegistryError("BODY_INCOMPLETE");
      } else if (!(await wait.forChange())) {
        throw new RegistryError("BODY_TIMEOUT");
      }
    }
  } finally {
    wait.end();
  }
}

/** Counts what was read. Downloads move a part per turn, however long it is: uploads share one turn lest they starve. */
function isTurnOver(bytes: number): boolean {
  nextTurn ??= setImmediate().then(() => {
    readThisTurn = 0;
    nextTurn = undefined;
  });
  readThisTurn += bytes;
  return readThisTurn >= turn;
}

/** `forChange` answers true when there may be something new to see of the stream, false when it was silent too long. */
function waiting(request: IncomingMessage, idleTimeout: number): { forChange(): Promise<boolean>; end(): void } {
  const events = ["readable", "end", "error", "close"] as const;
  let changed = false;
  let settle: ((change: boolean) => void) | undefined;
  const change = (): void => {
    if (settle) settle(true);
    else changed = true;
  };
  for (const event of events) request.on(event, change);
  const timer = idleTimeout > 0 ? setTimeout(() => settle?.(false), milliseconds(idleTimeout)) : undefined;
  return {
    async forChange() {
      if (!changed) {
        timer?.refresh();
        const change = await new Promise<boolean>((resolve) => (settle = resolve));
        settle = undefined;
        return change;
      }
      changed = false;
      return true;
    },
    end() {
      clearTimeout(timer);
      for (const event of events) request.off(event, change);
    },
  };
}

function tooLarge(limit: number): RegistryError {
  return new RegistryError("BODY_TOO_LARGE", { detail: `at most ${limit} bytes are accepted here` });
}
