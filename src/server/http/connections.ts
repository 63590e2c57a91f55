import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * The connections of a server and the answers that are due on each. Node closes idle connections by itself, but not
 * those that never sent a request, nor those that become idle later.
 */
export class Connections {
  readonly #due = new Map<Socket, Set<ServerResponse>>();
  readonly #closing = new WeakSet<Socket>();
  #draining = false;

  /** Takes note of a connection that was accepted (and has its TLS session, if any). */
  add(socket: Socket): void {
    this.#due.set(socket, new Set());
    socket.once("close", () => this.#due.delete(socket));
    if (this.#draining) this.#closeAfterAnswers(socket);
  }

  /** Takes note of a request, until its answer is sent or its client gone. */
  begin({ socket }: IncomingMessage, response: ServerResponse): void {
    const due = this.#due.get(socket);
    if (!due) return;
    due.add(response);
    if (this.#closing.has(socket)) response.setHeader("Connection", "close");
    response.once("close", () => {
      due.delete(response);
      if (this.#closing.has(socket)) this.#closeAfterAnswers(socket);
    });
  }

  /** Closes idle connections now and the others after what they are busy with; new ones at once. */
  drain(): void {
    this.#draining = true;
    for (const socket of this.#due.keys()) this.#closeAfterAnswers(socket);
  }

  /** Destroys all connections; answers how many of them had an answer due. */
  cut(): number {
    const sockets = [...this.#due];
    for (const [socket] of sockets) socket.destroy();
    return sockets.filter(([, due]) => due.size > 0).length;
  }

  /**
   * What a connection gets that no longer speaks HTTP: `status` and the end. Answers to whole requests that came
   * before are sent first; one that had begun is cut when its own request is what is broken. A connection that was never
   * added (its TLS handshake failed) can't be told anything.
   */
  refuse(socket: Socket, status: string): void {
    const answers = this.#due.get(socket);
    const due = [...(answers ?? [])];
    const broken = due.find((response) => !response.req.complete);
    if (due.length > 0 && !broken) {
      this.#closeAfterAnswers(socket);
    } else if (!answers || !socket.writable || due.length > 1 || broken?.headersSent === true) {
      socket.destroy();
    } else {
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
    }
  }

  #closeAfterAnswers(socket: Socket): void {
    this.#closing.add(socket);
    const due = this.#due.get(socket) ?? new Set();
    for (const response of due) if (!response.headersSent) response.setHeader("Connection", "close");
    if (due.size === 0) socket.destroySoon();
  }
}
