import { readFile } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { Agent } from "undici";
import { DriverError } from "../errors.ts";

/** How requests travel. */
export interface TransportOptions {
  /** A file with the certificates of the authorities to trust, instead of the system's. */
  readonly cacert?: string | undefined;
  /** Milliseconds without a byte, while one is awaited, after which a request has failed. */
  readonly idle: number;
}

/** A request as it is sent. */
export interface Sending {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream of unknown length is sent in chunks; with `content-length` among the headers it must have that length. */
  readonly body?: Buffer | Readable;
  /** The server may say nothing for ten times as long, as while it copies. */
  readonly isLong?: boolean;
}

/** The beginning of an answer, of whatever status. The body has to be read to its end or destroyed; a slow reader slows the server. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

/**
 * As many connections to a server as all operations that run at once may need: a read that its client is slow to take
 * holds one, so fewer would let the slow stop all others.
 */
const connections = 384;

/** Idle connections are let go of before a server does, in milliseconds: a request that meets its close is lost. */
const keepAlive = 4_000;

const patience = 10;

/** Connections to the servers of one cloud. */
export class Transport {
  readonly #agent: Agent;
  readonly #idle: number;
  #isClosed = false;

  private constructor(agent: Agent, idle: number) {
    this.#agent = agent;
    this.#idle = idle;
  }

  /** REFUSED when the file of certificates can't be read. */
  static async open({ cacert, idle }: TransportOptions): Promise<Transport> {
    const ca = cacert === undefined ? undefined : await readCertificates(cacert);
    const connect = { timeout: idle, ...(ca !== undefined && { ca }) };
    return new Transport(new Agent({ connections, keepAliveTimeout: keepAlive, connect }), idle);
  }

  /** Rejects with whatever kept it from an answer, and when it is closed. */
  async send({ method, url, headers, body, isLong = false }: Sending): Promise<Answer> {
    if (this.#isClosed) throw new Error("the storage is closed");
    const wait = isLong ? this.#idle * patience : this.#idle;
    try {
      const answer = await this.#agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: { ...headers },
        headersTimeout: wait,
        bodyTimeout: this.#idle,
        ...(body !== undefined && { body }),
      });
      // Who lets go of an answer early, or never looks at it, is told nothing more.
      answer.body.on("error", () => undefined);
      return { status: answer.statusCode, headers: answer.headers, body: answer.body };
    } catch (error) {
      if (!isTimeout(error)) throw error;
      throw new Error(`no answer within ${wait / 1000} s`, { cause: error });
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Cuts all connections, and lets nobody make new ones. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#agent.destroy();
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).endsWith("_TIMEOUT");
}

async function readCertificates(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new DriverError("REFUSED", `swift_cacert can't be read: ${file}`, { cause });
  }
}
