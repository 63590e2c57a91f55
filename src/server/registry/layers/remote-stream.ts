import type { MessagePort } from "node:worker_threads";
import { errorTable, RegistryError, type ErrorCode } from "../../errors.ts";

/** What a reader is sent; each of its own messages, whatever it says, asks for one more chunk. */
type Message =
  | { readonly kind: "chunk"; readonly bytes: Uint8Array }
  | { readonly kind: "end" }
  | { readonly kind: "failed"; readonly message: string; readonly code?: ErrorCode; readonly detail?: string };

/**
 * Sends a stream to another thread as fast as that one reads. Ends when the reader has closed the port, at the end of the
 * stream or before; the source is let go then. Rejects with the source's error when the reader has been told of it.
 */
export async function sendStream(source: AsyncIterable<Uint8Array>, port: MessagePort): Promise<void> {
  const demand = new Demand(port);
  const chunks = pieces(source)[Symbol.asyncIterator]();
  try {
    while (await demand.next()) {
      const chunk = await chunks.next();
      if (chunk.done === true) {
        port.postMessage({ kind: "end" } satisfies Message);
        await demand.closed;
        return;
      }
      // A copy: what is transferred is lost here, and the chunk may be part of a buffer that others use.
      const bytes = new Uint8Array(chunk.value);
      port.postMessage({ kind: "chunk", bytes } satisfies Message, [bytes.buffer]);
    }
    await chunks.return(undefined);
  } catch (error) {
    port.postMessage(failure(error));
    throw error;
  }
}

/** What a received stream fails with when the thread that sends it has ended before the stream. */
export class ThreadEnded extends Error {
  override readonly name = "ThreadEnded";
}

/**
 * The stream that another thread sends through `port`. Fails as that one fails. As many as `ahead` chunks may be on their
 * way before they are asked for.
 */
export async function* receivedStream(port: MessagePort, ahead: number): AsyncGenerator<Uint8Array> {
  const inbox = new Inbox(port);
  try {
    for (let i = 0; i < ahead; i++) port.postMessage("more");
    for (;;) {
      port.postMessage("more");
      const message = await inbox.next();
      if (message.kind === "end") return;
      if (message.kind === "failed") throw revived(message);
      yield message.bytes;
    }
  } finally {
    port.close();
  }
}

function failure(error: unknown): Message {
  if (!(error instanceof RegistryError)) return { kind: "failed", message: String(error) };
  const { code, message, detail } = error;
  return { kind: "failed", code, message, ...(detail !== undefined && { detail }) };
}

function revived({ code, message, detail }: Extract<Message, { kind: "failed" }>): Error {
  if (code === undefined || !Object.hasOwn(errorTable, code)) return new Error(message);
  return new RegistryError(code, { message, ...(detail !== undefined && { detail }) });
}

/** Counts what the reader has asked for. */
class Demand {
  readonly closed: Promise<void>;
  #open = 0;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(port: MessagePort) {
    port.on("message", () => {
      this.#open++;
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      port.once("close", () => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** Waits for one more request; false when the reader has gone. */
  async next(): Promise<boolean> {
    while (this.#open === 0 && !this.#isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#open--;
    return !this.#isClosed;
  }
}

/** Keeps what has arrived until it is asked for. */
class Inbox {
  readonly #messages: Message[] = [];
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(port: MessagePort) {
    port.on("message", (message: Message) => {
      this.#messages.push(message);
      this.#wake();
    });
    port.once("close", () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  async next(): Promise<Message> {
    while (this.#messages.length === 0 && !this.#isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
    const message = this.#messages.shift();
    if (!message) throw new ThreadEnded("A thread ended in the middle of its work");
    return message;
  }
}

/** Memory that crosses threads is collected late: little at a time keeps little waiting. */
const pieceSize = 65_536;

async function* pieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; at += pieceSize) yield chunk.subarray(at, at + pieceSize);
  }
}
