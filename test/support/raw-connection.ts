import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { until } from "./program.ts";

/** A bare TCP connection for requests that no HTTP client would send; keeps all that came back. */
export class RawConnection {
  readonly socket: Socket;
  /** How the server ended it: "end" after an orderly close, an error's code otherwise. */
  readonly ended: Promise<string>;
  #received: Buffer[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    this.ended = new Promise((resolve) => {
      socket.on("data", (chunk: Buffer) => this.#received.push(chunk));
      socket.once("end", () => {
        resolve("end");
      });
      socket.once("error", (error: NodeJS.ErrnoException) => {
        resolve(error.code ?? error.message);
      });
      socket.once("close", () => {
        resolve("close");
      });
    });
  }

  /** Connects; `text`, if given, is the first thing sent. */
  static async open(port: number | undefined, text = ""): Promise<RawConnection> {
    const socket = connect({ port: port ?? 0, host: "127.0.0.1", allowHalfOpen: true });
    const connection = new RawConnection(socket);
    await once(socket, "connect");
    connection.send(text);
    return connection;
  }

  send(data: string | Uint8Array): void {
    if (data.length > 0) this.socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
  }

  get received(): string {
    return Buffer.concat(this.#received).toString("latin1");
  }

  /** Waits until the server has sent `text`, and answers all that came. */
  async until(text: string): Promise<string> {
    await until(`${JSON.stringify(text)} in ${JSON.stringify(this.received)}`, () => this.received.includes(text));
    return this.received;
  }

  /** Waits until the server closes the connection, and answers all that came. */
  async rest(): Promise<string> {
    await this.ended;
    this.socket.destroy();
    return this.received;
  }

  close(): void {
    this.socket.destroy();
  }
}
