import { request as overHttp, type IncomingMessage } from "node:http";
import { request as overHttps } from "node:https";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CommandError } from "./exit.ts";

/** One request; the body streams. */
export interface Outgoing {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly body?: Readable;
  /** Certificates to trust, PEM. */
  readonly ca?: string;
}

/** Sends a request and answers as soon as the head of the response is there, also when the body was not wanted. */
export async function send({ method, url, headers, signal, body, ca }: Outgoing): Promise<IncomingMessage> {
  const open = url.protocol === "https:" ? overHttps : overHttp;
  const outgoing = open(url, { method: method.toUpperCase(), headers, signal, ...(ca !== undefined && { ca }) });
  try {
    return await new Promise((resolve, reject) => {
      outgoing.once("response", resolve).once("error", reject);
      if (!body) outgoing.end();
      // A server that answers early closes its side; then the answer counts, not the broken pipe.
      else
        pipeline(body, outgoing).catch((error: unknown) => {
          setImmediate(reject, error);
        });
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new CommandError("failed", `${url.origin} does not answer`, { cause: error });
  }
}
