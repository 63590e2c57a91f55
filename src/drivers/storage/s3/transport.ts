import {
  request as overHttp,
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from "node:http";
import { Agent as TlsAgent, request as overHttps } from "node:https";
import { readingAgent } from "../long-body.ts";
import { watchSilence } from "../silence.ts";
import { readFailure } from "./failure.ts";

/** How requests travel. */
export interface TransportOptions {
  readonly secure: boolean;
  /** Whom to trust beside the system's own, as PEM. */
  readonly ca?: string | undefined;
  readonly verifies: boolean;
  /** Milliseconds without a byte, while one is awaited, after which a request has failed. */
  readonly idle: number;
  /** Other answers than those of 2xx that are none of failures. */
  readonly alsoFine?: readonly number[];
  /** Reads what the server says of a failure; without it, as Amazon's servers say it. */
  readonly explain?: (response: IncomingMessage) => Promise<Error>;
}

type OnResponse = (response: IncomingMessage) => void;

/**
 * As many connections as all operations that the server lets run at once may need: a read that its client is slow to
 * take holds one, so fewer would let the slow stop all others.
 */
const connections = 384;

/** Copies, and putting parts together, take the server a while in which it says nothing. */
const patience = 10;

/** What the client library sends its requests through; it knows neither timeouts nor how to let go of failed answers. */
export class Transport {
  readonly agent: Agent;
  readonly #options: TransportOptions;
  readonly #stale = new WeakSet();
  #isClosed = false;

  constructor(options: TransportOptions) {
    const { secure, ca, verifies } = options;
    const common = { keepAlive: true, maxSockets: connections, maxFreeSockets: 32, scheduling: "lifo" } as const;
    this.#options = options;
    this.agent = secure ? new TlsAgent({ ...common, ...(ca !== undefined && { ca }), rejectUnauthorized: verifies }) : readingAgent(common); // prettier-ignore
  }

  /** Whether it failed because the server had closed a connection that was kept open: it never saw the request. */
  isStale(error: unknown): boolean {
    return typeof error === "object" && error !== null && this.#stale.has(error);
  }

  /** What `http.request` does, as far as the client library uses it. An answer beyond 2xx is an error of the request. */
  readonly request = (
    first: RequestOptions | string | URL,
    second?: RequestOptions | OnResponse,
    third?: OnResponse,
  ): ClientRequest => {
    const onResponse = typeof second === "function" ? second : third;
    const options = typeof first === "string" || first instanceof URL ? {} : first;
    const request = (this.#options.secure ? overHttps : overHttp)(options);
    if (this.#isClosed) request.destroy(new Error("the storage is closed"));
    let response: IncomingMessage | undefined;
    watchSilence(request, isLong(options) ? this.#options.idle * patience : this.#options.idle, () => {
      request.destroy(new Error(`no answer within ${this.#options.idle / 1000} s`));
    });
    request.prependListener("error", (error) => {
      if (request.reusedSocket && !response) this.#stale.add(error);
    });
    request.once("response", (answer) => {
      response = answer;
      const { statusCode = 0 } = answer;
      const { alsoFine, explain = readFailure } = this.#options;
      if ((statusCode >= 200 && statusCode < 300) || alsoFine?.includes(statusCode)) onResponse?.(answer);
      else explain(answer).then(fail, fail);
    });
    const fail = (error: unknown): void => void request.emit("error", error);
    return request;
  };

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Cuts all connections, and lets nobody make new ones. */
  close(): void {
    this.#isClosed = true;
    this.agent.destroy();
  }
}

function isLong({ headers, method, path }: RequestOptions): boolean {
  const isCopy = typeof headers === "object" && !Array.isArray(headers) && "x-amz-copy-source" in headers;
  return isCopy || (method === "POST" && /uploadId=|\/rewriteTo\//.test(path ?? ""));
}
