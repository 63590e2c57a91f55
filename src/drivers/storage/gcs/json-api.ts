import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { attempted } from "../s3/attempts.ts";
import { ServerFailure } from "../s3/failure.ts";
import type { Tuning } from "../s3/object-bucket.ts";
import type { Transport } from "../s3/transport.ts";
import { googleError } from "./failure.ts";
import type { Identity } from "./identity.ts";
import type { Place } from "./place.ts";

/** One request. `key` is the one that failures are about. */
export interface JsonAsk {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With its query, behind the host. */
  readonly path: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  /** Tried again here after any passing failure, since nobody else can; else only when the server was too busy. */
  readonly persistent?: boolean;
  /** The address itself is the right to use it, as that of an upload is. */
  readonly isOpen?: boolean;
}

/**
 * Requests to Google's JSON API. They don't go through Google's library, which holds on to connections of failed requests
 * and can't tell a slow reader from a silent server; its tokens do.
 */
export class JsonApi {
  readonly place: Place;
  readonly tuning: Tuning;
  readonly identity: Identity;
  readonly #transport: Transport;

  constructor(place: Place, tuning: Tuning, identity: Identity, transport: Transport) {
    this.place = place;
    this.tuning = tuning;
    this.identity = identity;
    this.#transport = transport;
  }

  /** Answers as soon as the headers are there; the caller takes the body. Rejects with a `DriverError`. */
  async open(ask: JsonAsk): Promise<IncomingMessage> {
    return await this.#attempt(ask, async () => await this.#send(ask));
  }

  /** Answers all that is said. */
  async ask(ask: JsonAsk): Promise<{ readonly response: IncomingMessage; readonly text: string }> {
    return await this.#attempt(ask, async () => {
      const response = await this.#send(ask);
      return { response, text: await text(response) };
    });
  }

  /** Does `work`, which asks through this, and does it again after any passing failure. */
  async persistently<T>(key: string, work: () => Promise<T>): Promise<T> {
    return await this.#attempt({ key, persistent: true }, work);
  }

  fault(error: unknown, key?: string) {
    return googleError(error, this.place.bucket, key);
  }

  close(): void {
    this.#transport.close();
  }

  async #attempt<T>({ key, persistent = false }: Partial<JsonAsk>, work: () => Promise<T>): Promise<T> {
    const meaning = (cause: unknown) => this.fault(cause, key);
    return await attempted({ tuning: this.tuning, transport: this.#transport, meaning, persistent }, work);
  }

  async #send(ask: JsonAsk): Promise<IncomingMessage> {
    if (ask.isOpen) return await this.#sendWith(ask, {});
    const authorization = await this.identity.authorization();
    try {
      return await this.#sendWith(ask, { authorization });
    } catch (error) {
      if (!(error instanceof ServerFailure && error.status === 401)) throw error;
      // Tokens may be taken back before their time.
      this.identity.forget();
      return await this.#sendWith(ask, { authorization: await this.identity.authorization() });
    }
  }

  async #sendWith({ method, path, headers, body = [] }: JsonAsk, more: Readonly<Record<string, string>>) {
    const { host, port } = this.place;
    const length = body.reduce((sum, { length: bytes }) => sum + bytes, 0);
    const sized = method === "GET" ? {} : { "content-length": String(length) };
    const options = {
      method,
      host,
      ...(port !== undefined && { port }),
      path,
      headers: { ...headers, ...sized, ...more },
      agent: this.#transport.agent,
    };
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const request = this.#transport.request(options, resolve);
      request.on("error", reject);
      for (const block of body) request.write(block);
      request.end();
    });
  }
}
