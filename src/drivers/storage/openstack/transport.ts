import { readFile } from "node:fs/promises";
import { Agent } from "undici";
import { keepAlive, sendHttp, type HttpAnswer, type HttpRequest } from "../../http.ts";
import { DriverError } from "../errors.ts";
import { contentAgent, getContent } from "./content.ts";

/** How requests travel. */
export interface TransportOptions {
  /** A file with the certificates of the authorities to trust, instead of the system's. */
  readonly cacert?: string | undefined;
  /** Milliseconds without a byte, while one is awaited, after which a request has failed. */
  readonly idle: number;
}

/** A request as it is sent. */
export interface Sending extends Pick<HttpRequest, "method" | "url" | "headers"> {
  readonly body?: Exclude<HttpRequest["body"], string>;
  /** The server may say nothing for ten times as long, as while it copies. */
  readonly isLong?: boolean;
  /** The caller passes the body of the answer on as it comes. */
  readonly isContent?: boolean;
}

/** The beginning of an answer, of whatever status. */
export type Answer = HttpAnswer;

/**
 * As many connections to a server as all operations that run at once may need: a read that its client is slow to take
 * holds one, so fewer would let the slow stop all others.
 */
const connections = 384;

const patience = 10;

/** Connections to the servers of one cloud. */
export class Transport {
  readonly #agent: Agent;
  readonly #contentAgent = contentAgent(connections);
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
  async send({ isLong = false, isContent = false, ...sending }: Sending): Promise<Answer> {
    if (this.#isClosed) throw new Error("the storage is closed");
    const wait = isLong ? this.#idle * patience : this.#idle;
    const request = { ...sending, patience: wait, idle: this.#idle };
    try {
      if (isContent && sending.url.protocol === "http:") return await getContent(this.#contentAgent, request);
      return await sendHttp(this.#agent, request);
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
    this.#contentAgent.destroy();
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
