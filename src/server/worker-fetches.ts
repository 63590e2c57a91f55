/*
 * How the workers of a server know what one of them fetches from elsewhere: whoever is the first to ask for something
 * fetches it, and the others are told where he gives it away meanwhile. The supervisor remembers who that is.
 */
import type { Peers } from "./mirror/peers.ts";

/** What workers and the supervisor tell each other about what is fetched under a key. */
export interface FetchMessage {
  readonly fetch: "asked" | "answered" | "ended";
  readonly id: number;
  readonly key?: string;
  /** Of a question, where the worker would give it away, if it wants to fetch it; of an answer, where somebody does. */
  readonly address?: string | undefined;
}

/** The supervisor's line to a worker. */
export interface FetchLine {
  send(message: FetchMessage): void;
}

interface Fetching {
  readonly line: FetchLine;
  readonly address: string;
}

/** The supervisor's part. */
export class FetchDesk {
  readonly #fetching = new Map<string, Fetching>();

  /** Takes what a worker sends; messages about other things are ignored. */
  receive(line: FetchLine, message: unknown): void {
    if (!isFetchMessage(message)) return;
    const { fetch, id, key = "", address } = message;
    const other = this.#fetching.get(key);
    if (fetch === "ended" && other?.line === line) this.#fetching.delete(key);
    if (fetch !== "asked") return;
    if (!other && address !== undefined) this.#fetching.set(key, { line, address });
    line.send({ fetch: "answered", id, address: other?.line === line ? undefined : other?.address });
  }

  /** A worker has ended, and what it fetched with it. */
  leave(line: FetchLine): void {
    for (const [key, fetching] of this.#fetching) if (fetching.line === line) this.#fetching.delete(key);
  }
}

/** A worker's part. */
export class WorkerFetches implements Peers {
  readonly #send: (message: FetchMessage) => void;
  readonly #asked = new Map<number, (address: string | undefined) => void>();
  #last = 0;

  constructor(send: (message: FetchMessage) => void) {
    this.#send = send;
  }

  async find(key: string): Promise<string | undefined> {
    return await this.#ask(key);
  }

  async claim(key: string, address: string): Promise<string | undefined> {
    return await this.#ask(key, address);
  }

  ended(key: string): void {
    this.#send({ fetch: "ended", id: 0, key });
  }

  /** Takes what the supervisor sends; messages about other things are ignored. */
  receive(message: unknown): void {
    if (isFetchMessage(message) && message.fetch === "answered") this.#asked.get(message.id)?.(message.address);
  }

  async #ask(key: string, address?: string): Promise<string | undefined> {
    const id = ++this.#last;
    try {
      return await new Promise((resolve) => {
        this.#asked.set(id, resolve);
        this.#send({ fetch: "asked", id, key, ...(address !== undefined && { address }) });
      });
    } finally {
      this.#asked.delete(id);
    }
  }
}

function isFetchMessage(value: unknown): value is FetchMessage {
  return typeof value === "object" && value !== null && "fetch" in value && "id" in value;
}
