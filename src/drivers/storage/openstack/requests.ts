import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { DriverError } from "../errors.ts";
import { attempt, type Attempts } from "./attempts.ts";
import type { ServiceType } from "./authentication.ts";
import { driverError, HttpFailure, readFailure, type Meaning } from "./failure.ts";
import type { Identity } from "./identity.ts";
import type { Answer, Sending } from "./transport.ts";

/** A body that can be sent again as long as all of it `isThere`. */
export interface Renewable {
  readonly isThere: boolean;
  read(): AsyncIterable<Uint8Array>;
}

/** One request to a service. */
export interface Ask {
  readonly method: Sending["method"];
  /** What goes behind the URL of the service, escaped as URLs need it, such as `/container/key`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is in memory can be sent again; what comes from elsewhere is sent once. */
  readonly body?: Buffer | AsyncIterable<Uint8Array> | Renewable;
  /** What failures are about, such as the key. */
  readonly subject: string;
  /** Tried again here after any passing failure, since nobody else can; else only when the server was too busy or cut it. */
  readonly persistent?: boolean;
  /** The server may say nothing for a while, as when it copies. */
  readonly isLong?: boolean;
}

/** A request, and whether the caller passes the body of its answer on as it comes. */
interface AskFor extends Ask, Pick<Sending, "isContent"> {}

/** An answer with its whole body. */
export interface Text {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/**
 * Requests to one service of a cloud, each with a token: a 401 gets a new token and is sent once more. Everything they
 * reject with is a `DriverError`, but for errors of a body's own source, which pass through.
 */
export class Requests {
  readonly #identity: Identity;
  readonly #service: ServiceType;
  readonly #attempts: Attempts;
  readonly #meaning: (failure: HttpFailure, ask: Ask) => ReturnType<Meaning>;

  /** `meaning` says what the service's failures mean; those it does not know are UNAVAILABLE. */
  constructor(parts: {
    readonly identity: Identity;
    readonly service: ServiceType;
    readonly attempts: Attempts;
    readonly meaning: (failure: HttpFailure, ask: Ask) => ReturnType<Meaning>;
  }) {
    this.#identity = parts.identity;
    this.#service = parts.service;
    this.#attempts = parts.attempts;
    this.#meaning = parts.meaning;
  }

  /** Answers as soon as the headers of a success are there. The caller reads the body, or destroys it. */
  async open(ask: Ask): Promise<Answer> {
    return await this.#attempt({ ...ask, isContent: true }, (answer) => Promise.resolve(answer));
  }

  /** Answers when all of a success is there. */
  async ask(ask: Ask): Promise<Text> {
    return await this.#attempt(ask, async ({ status, headers, body }) => ({ status, headers, text: await text(body) }));
  }

  /** What `error` means, as a failure of `ask`; for what goes wrong with a body that the caller reads. */
  failure(error: unknown, ask: Ask): DriverError {
    return driverError(error, ask.subject, (failure) => {
      if (failure.status !== 401) return this.#meaning(failure, ask);
      return { code: "REFUSED", text: "the server takes no token of swift_user: correct swift_auth_version or swift_user" }; // prettier-ignore
    });
  }

  async #attempt<T>(ask: AskFor, use: (answer: Answer) => Promise<T>): Promise<T> {
    const content = new Content(ask.body);
    try {
      return await attempt(
        async () => await use(await this.#send(ask, content)),
        this.#attempts,
        (error) => content.isThere && this.#isWorthAnother(error, ask),
      );
    } catch (error) {
      throw content.failure ?? this.failure(error, ask);
    }
  }

  #isWorthAnother(error: unknown, ask: Ask): boolean {
    if (this.#identity.transport.isClosed) return false;
    if (error instanceof HttpFailure && error.isBusy) return true;
    if (error instanceof DriverError) return false;
    return isCut(error) || (ask.persistent === true && this.failure(error, ask).code === "UNAVAILABLE");
  }

  async #send(ask: AskFor, content: Content): Promise<Answer> {
    const token = await this.#identity.token();
    const first = await this.#sendWith(token, ask, content);
    if (first.status < 300) return first;
    const failure = await readFailure(first);
    if (failure.status !== 401) throw failure;
    const renewed = await this.#identity.renew(token);
    if (!content.isThere) throw failure;
    const second = await this.#sendWith(renewed, ask, content);
    if (second.status < 300) return second;
    throw await readFailure(second);
  }

  async #sendWith(token: string, ask: AskFor, content: Content): Promise<Answer> {
    const url = await this.#identity.endpoint(this.#service);
    url.pathname = url.pathname.replace(/\/$/, "") + ask.path;
    for (const [name, value] of Object.entries(ask.query ?? {})) url.searchParams.set(name, value);
    const body = content.body();
    return await this.#identity.transport.send({
      method: ask.method,
      url,
      headers: { ...ask.headers, "x-auth-token": token },
      ...(body && { body }),
      isLong: ask.isLong === true,
      isContent: ask.isContent === true,
    });
  }
}

/** The connection ended before an answer: often it had been closed before the request came. */
function isCut(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE";
}

/** What a request sends, as often as it can be sent; tells an error of its own source from those of the way. */
class Content {
  readonly #content: Ask["body"];
  #isTaken = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(content: Ask["body"]) {
    this.#content = content;
  }

  /** Whether it can be sent, or sent again. */
  get isThere(): boolean {
    const content = this.#content;
    if (this.#failure) return false;
    if (!this.#isTaken || content === undefined || Buffer.isBuffer(content)) return true;
    return "isThere" in content && content.isThere;
  }

  get failure(): Error | undefined {
    if (this.#failure === undefined) return undefined;
    const { error } = this.#failure;
    return error instanceof Error ? error : new Error(String(error));
  }

  body(): Buffer | Readable | undefined {
    const content = this.#content;
    if (content === undefined || Buffer.isBuffer(content)) return content;
    return Readable.from(this.#watched(content), { objectMode: false });
  }

  /** What a reader throws into it, when its connection is cut, is no error of the source's. */
  async *#watched(content: Exclude<Ask["body"], Buffer | undefined>): AsyncGenerator<Uint8Array> {
    this.#isTaken = true;
    const source = ("isThere" in content ? content.read() : content)[Symbol.asyncIterator]();
    try {
      for (let next = await this.#next(source); next.done !== true; next = await this.#next(source)) yield next.value;
    } finally {
      await source.return?.();
    }
  }

  async #next(source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    try {
      return await source.next();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}
