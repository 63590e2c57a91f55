import { Agent, IncomingMessage, type AgentOptions, type ClientRequestArgs } from "node:http";
import { createConnection, type Socket } from "node:net";
import { Readable } from "node:stream";
import { asLending, giveBack, lend } from "./lent-chunks.ts";

/** From this length on a body is worth a connection of its own, in bytes. */
const long = 1_048_576;
/** So many bodies at a time are read into large buffers, of which each may hold some; all others get small ones. */
const mostLarge = 6;
/** Bytes of a small buffer. */
const small = 65_536;

let largeBodies = 0;

/** What is read for Node's parser, which copies it, is here between two statements. */
const shared = Buffer.allocUnsafeSlow(small);

const intakes = new WeakMap<Socket, Intake>();

/** An agent of plain HTTP whose long bodies `longBody` can take over. */
export function readingAgent(options: AgentOptions): Agent {
  const agent = new Agent(options);
  agent.createConnection = (to) => new Intake(to).socket;
  return agent;
}

/**
 * The body of an answer, at less cost where it is long, of known length, and came through a `readingAgent`: its bytes
 * pass by Node's parser, which would copy each into fresh memory, and its connection is closed afterwards. Any other
 * body is answered as it is. To be called before anything has been read.
 */
export function longBody(response: Readable): Readable {
  if (!(response instanceof IncomingMessage) || response.complete || response.destroyed) return response;
  const { "content-length": length, "transfer-encoding": coding } = response.headers;
  const intake = coding === undefined && Number(length) >= long ? intakes.get(response.socket) : undefined;
  return intake?.take(response, Number(length)) ?? response;
}

/** A connection that gives what it reads to Node's parser, until the rest of a body is taken from it. */
class Intake {
  readonly socket: Socket;
  #next: Buffer = shared;
  #body: TakenBody | undefined;

  constructor({ host, port, timeout }: ClientRequestArgs) {
    this.socket = createConnection({
      host: host ?? "localhost",
      port: Number(port),
      noDelay: true,
      keepAlive: true,
      ...(timeout !== undefined && { timeout }),
      onread: {
        buffer: () => this.#next,
        callback: (length, buffer) => {
          this.#read(Buffer.from(buffer.buffer, buffer.byteOffset, length), buffer.length);
          return true;
        },
      },
    });
    intakes.set(this.socket, this);
  }

  take(response: IncomingMessage, length: number): Readable {
    this.#body = new TakenBody(this.socket, response, length);
    this.#next = this.#body.newBuffer();
    // The socket reads nothing any more.
    this.#body.stream.once("close", () => {
      giveBack(this.#next);
    });
    return this.#body.stream;
  }

  #read(bytes: Buffer, room: number): void {
    const isShared = bytes.buffer === shared.buffer;
    // What is a small part of its buffer would keep all of it in memory.
    const chunk = isShared || bytes.length < room / 4 ? Buffer.from(bytes) : bytes;
    if (!this.#body) {
      this.socket.push(chunk);
      return;
    }
    if (chunk === bytes) this.#next = this.#body.newBuffer();
    this.#body.pass(chunk);
  }
}

/** The rest of an answer that is read past Node's parser. */
class TakenBody {
  readonly stream: Readable;
  readonly #socket: Socket;
  readonly #response: IncomingMessage;
  readonly #isLarge = largeBodies < mostLarge;
  #left: number;

  constructor(socket: Socket, response: IncomingMessage, length: number) {
    this.#socket = socket;
    this.#response = response;
    this.#left = length;
    if (this.#isLarge) largeBodies += 1;
    const stream = new Readable({
      highWaterMark: 0,
      read: () => {
        this.#resume();
      },
      destroy: (error, done) => {
        socket.destroy();
        if (this.#isLarge) largeBodies -= 1;
        done(error);
      },
    });
    this.stream = asLending(stream);
    const cut = (error?: Error): void => {
      if (this.#left > 0) this.stream.destroy(error ?? new Error("the connection was closed before the end"));
    };
    // What the parser has had of the body before comes from there.
    response.on("data", (chunk: Buffer) => {
      this.#push(chunk);
    });
    response.once("error", cut).once("close", cut);
  }

  newBuffer(): Buffer {
    return this.#isLarge ? lend() : Buffer.allocUnsafeSlow(small);
  }

  pass(chunk: Buffer): void {
    while (this.#response.read() !== null);
    this.#push(chunk);
  }

  #push(chunk: Buffer): void {
    const { stream } = this;
    if (stream.destroyed || this.#left === 0) return;
    const wanted = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk;
    this.#left -= wanted.length;
    const isWanted = stream.push(wanted) && !stream.isPaused();
    if (this.#left === 0) {
      stream.push(null);
      this.#socket.destroy();
    } else if (!isWanted) {
      this.#response.pause();
      this.#socket.pause();
    }
  }

  #resume(): void {
    this.#response.resume();
    this.#socket.resume();
  }
}
