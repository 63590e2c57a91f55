import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { AnswerParser, type Answer, type Sink } from "./answer-parser.ts";

/** Milliseconds without a byte in either direction after which a server counts as hung. */
const patience = 60_000;

/** What is done with the answer of a request. */
export interface Expectation {
  /** The answer has no body: the request is HEAD. */
  readonly bodyless?: boolean;
  readonly sink?: Sink;
}

/**
 * One keep-alive connection, one request at a time. It is a socket and a small parser instead of Node's client, which
 * costs more than the servers that are measured with it.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #parser = new AnswerParser();
  #waiting: PromiseWithResolvers | undefined;
  #failure: Error | undefined;

  private constructor(url: URL, bufferSize: number) {
    this.#socket = connect({
      host: url.hostname,
      port: Number(url.port),
      noDelay: true,
      onread: { buffer: Buffer.allocUnsafe(bufferSize), callback: (size, buffer) => this.#read(size, buffer) },
    });
    this.#socket.setTimeout(patience, () => this.#socket.destroy(new Error("The server did nothing for a minute")));
    this.#socket.on("error", (error) => {
      this.#fail(error);
    });
    this.#socket.on("close", () => {
      this.#fail(new Error("The server closed the connection"));
    });
  }

  /** Connects to the host and port of `url`. At most `bufferSize` bytes are read at once. */
  static async open(url: URL, bufferSize = 64 * 1024): Promise<Connection> {
    const connection = new Connection(url, bufferSize);
    await once(connection.#socket, "connect");
    return connection;
  }

  /** Sends a request, or its head; resolves with the answer when all of it is read. */
  async exchange(request: Uint8Array | string, { bodyless = false, sink }: Expectation = {}): Promise<Answer> {
    if (this.#failure) throw this.#failure;
    this.#parser.begin(bodyless, sink);
    return await new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  /** Sends a piece of a request's body; resolves when the system has taken it. */
  async send(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(size: number, buffer: Uint8Array): boolean {
    try {
      const answer = this.#parser.feed(Buffer.from(buffer.buffer, buffer.byteOffset, size));
      if (answer) {
        const waiting = this.#waiting;
        this.#waiting = undefined;
        waiting?.resolve(answer);
      }
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
    return true;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }
}

interface PromiseWithResolvers {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: Error) => void;
}

/** The head of a request, ready to be sent; with the name and password of `url`, if it has them. */
export function requestHead(
  url: URL,
  method: string,
  path: string,
  headers: Readonly<Record<string, string | number>> = {},
): string {
  const login = url.username === "" ? {} : { Authorization: basic(url.username, url.password) };
  const lines = Object.entries({ ...login, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\nHost: ${url.host}\r\nUser-Agent: registryctl-bench\r\n${lines.join("")}\r\n`;
}

/** The value of an `Authorization` header. */
export function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}

/** Runs `work` over `count` connections at once, and closes them whatever happens. */
export async function withConnections<T>(
  url: URL,
  { count, bufferSize }: { readonly count: number; readonly bufferSize?: number },
  work: (connection: Connection, index: number) => Promise<T>,
): Promise<readonly T[]> {
  const connections = await Promise.all(Array.from({ length: count }, () => Connection.open(url, bufferSize)));
  try {
    return await Promise.all(connections.map(work));
  } finally {
    for (const connection of connections) connection.close();
  }
}
