import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import type { Client } from "minio";
import type { RedirectOptions, Stat } from "../driver.ts";
import { attempted } from "./attempts.ts";
import { driverError, s3Names, type OptionNames } from "./failure.ts";
import type { Head, Tuning } from "./object-bucket.ts";
import type { Transport } from "./transport.ts";

/** One request. `key` is the caller's: the store's prefix is put before it here. */
export interface Ask {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  readonly key?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** The key that failures are about, where it is another one. */
  readonly subject?: string;
  /** Tried again here after any passing failure, since nobody else can; else only when the server was too busy. */
  readonly persistent?: boolean;
}

/** A bucket, or the part of it below a prefix. Everything that is asked of the server goes through here. */
export class Bucket {
  readonly name: string;
  readonly tuning: Tuning;
  /** What the options are called that its failures tell to correct. */
  readonly options: OptionNames;
  readonly #client: Client;
  readonly #transport: Transport;
  readonly #prefix: string;
  readonly #encryption: Readonly<Record<string, string>>;
  readonly #checkedName: (name: string) => string;

  constructor(parts: {
    readonly name: string;
    readonly prefix: string;
    readonly encrypt: boolean;
    readonly client: Client;
    readonly transport: Transport;
    readonly tuning: Tuning;
    readonly options?: OptionNames;
    /** Answers the name, or throws where the server can't have such a name. */
    readonly checkedName?: (name: string) => string;
  }) {
    this.name = parts.name;
    this.#checkedName = parts.checkedName ?? ((name) => name);
    this.options = parts.options ?? s3Names;
    this.tuning = parts.tuning;
    this.#client = parts.client;
    this.#transport = parts.transport;
    this.#prefix = parts.prefix === "" ? "" : `${parts.prefix}/`;
    this.#encryption = parts.encrypt ? { "x-amz-server-side-encryption": "AES256" } : {};
  }

  /** The name that an object has in the bucket. */
  nameOf(key: string): string {
    return this.#checkedName(this.#prefix + key);
  }

  /** The key of the object of that name; undefined for what is not ours. */
  keyOf(name: string): string | undefined {
    return name.startsWith(this.#prefix) ? name.slice(this.#prefix.length) : undefined;
  }

  /** Sends a request and answers as soon as its headers are there. The caller takes the body. Rejects with a `DriverError`. */
  async open(ask: Ask): Promise<IncomingMessage> {
    return await this.attempt(ask.subject ?? ask.key, async () => await this.#send(ask), ask.persistent);
  }

  /** Sends a request and answers what it says, in headers and in text. */
  async ask(ask: Ask): Promise<{ readonly headers: IncomingMessage["headers"]; readonly text: string }> {
    const whole = async () => {
      const response = await this.#send(ask);
      return { headers: response.headers, text: await text(response) };
    };
    return await this.attempt(ask.subject ?? ask.key, whole, ask.persistent);
  }

  /** What is known of an object without reading it. */
  async head(key: string, persistent = false): Promise<Head> {
    const { headers } = await this.ask({ method: "HEAD", key, persistent });
    return headOf(headers);
  }

  /** Stores an object by one request. */
  async put(key: string, content: Buffer): Promise<Stat> {
    const { headers } = await this.ask({
      method: "PUT",
      key,
      headers: this.newObject,
      body: content,
      persistent: true,
    });
    return { size: content.length, modified: headers.date === undefined ? new Date() : new Date(headers.date) };
  }

  /** The headers of a request that makes an object. */
  get newObject(): Readonly<Record<string, string>> {
    return { "content-type": "application/octet-stream", ...this.#encryption };
  }

  /** What names the object as the source of a copy. */
  sourceOf(key: string): Readonly<Record<string, string>> {
    const encoded = encodeURIComponent(this.nameOf(key))
      .replaceAll("%2F", "/")
      .replace(/[!'()*]/g, percent);
    return { "x-amz-copy-source": `/${this.name}/${encoded}` };
  }

  /** A URL that is signed and needs no other right. */
  async signedUrl(key: string, { seconds, contentType }: RedirectOptions): Promise<URL> {
    const answer = { ...(contentType !== undefined && { "response-content-type": contentType }) };
    const longest = 7 * 86_400;
    const expires = Math.min(Math.max(Math.round(seconds), 1), longest);
    const sign = async (): Promise<string> => await this.#client.presignedUrl("GET", this.name, this.nameOf(key), expires, answer); // prettier-ignore
    return new URL(await this.attempt(key, sign));
  }

  /** Has the client library do something with the bucket. */
  async with<T>(key: string, work: (client: Client, name: string) => Promise<T>): Promise<T> {
    return await this.attempt(key, async () => await work(this.#client, this.nameOf(key)), true);
  }

  /**
   * Does `work`, and does it again when the server was too busy or never saw it, and with `persistent` after any other
   * passing failure. Rejects with a `DriverError`.
   */
  async attempt<T>(key: string | undefined, work: () => Promise<T>, persistent = false): Promise<T> {
    const subject = { bucket: this.name, key, options: this.options };
    const meaning = (cause: unknown) => driverError(cause, subject);
    return await attempted({ tuning: this.tuning, transport: this.#transport, meaning, persistent }, work);
  }

  async #send({ method, key, query, headers, body }: Ask): Promise<IncomingMessage> {
    const request = {
      method,
      bucketName: this.name,
      headers: { ...headers },
      ...(key !== undefined && { objectName: this.nameOf(key) }),
      ...(query !== undefined && { query }),
    };
    return await this.#client.makeRequestAsync(request, body, [200, 204, 206]);
  }
}

/** Reads the headers of an answer to HEAD or GET. */
export function headOf(headers: IncomingMessage["headers"]): Head {
  const { "content-length": length, "last-modified": modified = 0, etag = "" } = headers;
  return { size: Number(length), modified: new Date(modified), etag };
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
