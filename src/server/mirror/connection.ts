import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { rootCertificates } from "node:tls";
import { Agent, ProxyAgent, type Dispatcher } from "undici";
import { UpstreamFailure, unanswered } from "./failure.ts";
import { unmetered, type MirrorMeter } from "./meter.ts";

/** How an upstream is reached. */
export interface ConnectionOptions {
  /** What messages call it. */
  readonly who: string;
  /** Whom to trust beside the system's own, as PEM. */
  readonly ca?: string | undefined;
  /** The URL of a proxy that all requests go through. */
  readonly proxy?: string | undefined;
  readonly meter?: MirrorMeter;
}

/** A request for something. */
export interface Question {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the answer has to begin. */
  readonly patience?: number | undefined;
}

/** The beginning of an answer. The body has to be read to its end or destroyed. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

const connectTimeout = 10_000;
/** How long an answer may take to begin, and then to go on, in milliseconds. */
const usualPatience = 30_000;
const idleTimeout = 60_000;
/** Connections to one host; each blob that is fetched holds one. */
const connections = 128;

/** Sends requests to an upstream, its token server and wherever they redirect to. */
export class Connection {
  readonly #who: string;
  readonly #dispatcher: Dispatcher;
  readonly #meter: MirrorMeter;

  constructor({ who, ca, proxy, meter = unmetered }: ConnectionOptions) {
    const trust = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
    const common = { connections, keepAliveTimeout: 4_000, bodyTimeout: idleTimeout };
    this.#who = who;
    this.#meter = meter;
    this.#dispatcher =
      proxy === undefined
        ? new Agent({ ...common, connect: { timeout: connectTimeout, ...trust } })
        : new ProxyAgent({ ...common, uri: proxy, connect: { timeout: connectTimeout }, requestTls: trust });
  }

  /** Answers whatever the status is. Rejects with a failure when there is no answer. */
  async send({ method, url, headers, body, signal, patience = usualPatience }: Question): Promise<Answer> {
    const to = url.host === this.#who ? "registry" : "elsewhere";
    try {
      const answer = await this.#dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: { "user-agent": "registryctl", ...headers },
        headersTimeout: patience,
        ...(body !== undefined && { body }),
        ...(signal && { signal }),
      });
      this.#meter.asked(this.#who, to, answer.statusCode);
      // Who lets go of an answer early, or never looks at it, is told nothing more.
      answer.body.on("error", () => undefined);
      return { status: answer.statusCode, headers: answer.headers, body: answer.body };
    } catch (error) {
      signal?.throwIfAborted();
      const failure = unanswered(this.#who, error);
      this.#meter.asked(this.#who, to, failure.kind);
      throw failure;
    }
  }

  /** Cuts all connections. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

/** Documents are small; nobody has to hold more of an answer than this, in bytes. */
const largestDocument = 8 * 1024 * 1024;

/** All of a small answer. Rejects with a failure when it is cut or too large. */
export async function wholeBody(who: string, { body }: Pick<Answer, "body">): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > largestDocument) throw new UpstreamFailure("broken", `${who} answers with too much`);
      chunks.push(chunk);
    }
  } catch (error) {
    body.destroy();
    throw error instanceof UpstreamFailure ? error : unanswered(who, error);
  }
  return Buffer.concat(chunks);
}

/** Lets go of an answer whose body nobody wants; a short one keeps its connection. */
export function discard({ body }: Pick<Answer, "body">): void {
  body.resume();
}

/** The header's value; of several the first. */
export function headerOf({ headers }: Pick<Answer, "headers">, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
