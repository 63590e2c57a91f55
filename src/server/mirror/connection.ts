import { isIP } from "node:net";
import { rootCertificates } from "node:tls";
import { Agent, ProxyAgent, type Dispatcher } from "undici";
import { keepAlive, sendHttp, type HttpAnswer, type HttpRequest } from "../../drivers/http.ts";
import { UpstreamFailure, unanswered } from "./failure.ts";
import { isPrivateHost, notPublic, publicLookup } from "./public-address.ts";
import { unmetered, type MirrorMeter } from "./meter.ts";

/** How an upstream is reached. */
export interface ConnectionOptions {
  /** Its host, and port if that is not the usual one; messages call it so. */
  readonly who: string;
  /** Other hosts that the configuration names with it. */
  readonly others?: readonly string[];
  /** Whom to trust beside the system's own, as PEM. */
  readonly ca?: string | undefined;
  /** The URL of a proxy that all requests go through. */
  readonly proxy?: string | undefined;
  readonly meter?: MirrorMeter;
}

/** A request for something. */
export interface Question extends Pick<HttpRequest, "url" | "signal"> {
  readonly method: "GET" | "HEAD" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds until the answer has to begin. */
  readonly patience?: number | undefined;
}

/** The beginning of an answer. The body has to be read to its end, destroyed or discarded. */
export type Answer = HttpAnswer;

const connectTimeout = 10_000;
/** How long an answer may take to begin, and then to go on, in milliseconds. */
const usualPatience = 30_000;
const idleTimeout = 60_000;
/** Connections to one host; each blob that is fetched holds one. */
const connections = 128;

/**
 * Sends requests to an upstream, its token server and wherever they redirect to. An upstream that is not in a private
 * network itself can't send us into one.
 */
export class Connection {
  readonly #who: string;
  readonly #hosts: readonly string[];
  readonly #dispatcher: Dispatcher;
  /** For places that the configuration doesn't name. */
  readonly #outside: Dispatcher;
  readonly #meter: MirrorMeter;

  constructor({ who, others = [], ca, proxy, meter = unmetered }: ConnectionOptions) {
    const trust = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
    const common = { connections, keepAliveTimeout: keepAlive };
    this.#who = who;
    this.#meter = meter;
    this.#hosts = [who, ...others];
    const connect = { timeout: connectTimeout };
    if (proxy === undefined) {
      this.#dispatcher = new Agent({ ...common, connect: { ...connect, ...trust } });
      this.#outside = new Agent({ ...common, connect: { ...connect, ...trust, lookup: publicLookup } });
    } else {
      // Names are looked up there.
      this.#dispatcher = new ProxyAgent({ ...common, uri: proxy, connect, requestTls: trust });
      this.#outside = this.#dispatcher;
    }
  }

  /** Answers whatever the status is. Rejects with a failure when there is no answer. */
  async send(question: Question): Promise<Answer> {
    const { url, signal, patience = usualPatience } = question;
    const to = url.host === this.#who ? "registry" : "elsewhere";
    try {
      const headers = { "user-agent": "registryctl", ...question.headers };
      const dispatcher = await this.#dispatcherTo(url);
      const answer = await sendHttp(dispatcher, { ...question, headers, patience, idle: idleTimeout });
      this.#meter.asked(this.#who, to, answer.status);
      return answer;
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
    await this.#outside.destroy();
  }

  async #dispatcherTo({ host, hostname }: URL): Promise<Dispatcher> {
    if (this.#hosts.includes(host) || (await isPrivateHost(new URL(`http://${this.#who}`).hostname))) {
      return this.#dispatcher;
    }
    // Addresses are not looked up.
    if (isIP(hostname.replace(/^\[|\]$/g, "")) !== 0 && (await isPrivateHost(hostname))) throw notPublic(hostname);
    return this.#outside;
  }
}

/**
 * Where an answer sends us on to, if it does. Throws a failure where that is less safe than where it comes from, or no
 * place at all.
 */
export function sentTo(who: string, answer: Answer, from: URL): URL | undefined {
  const location = redirects.includes(answer.status) ? headerOf(answer, "location") : undefined;
  if (location === undefined) return undefined;
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (to && (to.protocol === "https:" || to.protocol === from.protocol)) return to;
  throw new UpstreamFailure("broken", `${who} redirects to ${to ? "a place without TLS" : "no place"}`);
}

const redirects: readonly number[] = [301, 302, 303, 307, 308];

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

/** The header's value; of several the first. */
export function headerOf({ headers }: Pick<Answer, "headers">, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
