import { createConnection, type Socket } from "node:net";
import { command, encodeHeader, FrameReader, headerFlag, headerSize, type Command, type Header } from "./frame.ts";
import { EllipticsFailure, ProtocolError, status, textOf } from "./failure.ts";
import { idSize } from "./ids.ts";
import { decodeBackends, decodeHandshake, type Address, type AddressList, type Backend } from "./structures.ts";

/** What one frame asks a server. */
export interface Request {
  readonly command: Command;
  readonly id: Buffer;
  readonly group: number;
  /** Where the ring says it belongs; servers look for themselves. */
  readonly backend?: number;
  readonly flags?: number;
  readonly body?: readonly Buffer[];
  /** More bytes than this, in all frames of the answer, are none that were asked for. */
  readonly longest: number;
}

/** How a connection behaves, and who is told of what happens to it. Times in milliseconds. */
export interface ConnectionEvents {
  /** For an answer; and for the first one, with the connection itself. */
  readonly patience: { readonly answer: number; readonly connect: number };
  /** A server has got, or lost, backends. */
  readonly onBackends: (backends: readonly Backend[]) => void;
  readonly onClose: (reason: Error) => void;
}

/** What a server tells when it is met. */
export interface Greeting extends AddressList {
  readonly shards: number;
  readonly backends: readonly Backend[];
}

/** The release whose bytes these are: servers only look at the first two numbers. */
const version = [2, 26, 11, 1] as const;
/** What a client says before it knows better. */
const ownShards = 16;
/** With more shards a listing would never end. */
const mostShards = 65_536;
/** A cluster whose nodes tell more than this of themselves is not one. */
export const longestRoutes = 64 * 1_048_576;

const receiveSize = 65_536;

interface Pending {
  readonly longest: number;
  readonly bodies: Buffer[];
  length: number;
  /** The first that was not 0. */
  status: number;
  readonly settle: (outcome: Error | Header) => void;
}

/** A connection to one server. Requests are sent at once, and answers matched as they come, in any order. */
export class Connection {
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #pending = new Map<number, Pending>();
  readonly #reader = new FrameReader(
    (header) => this.#longestOf(header),
    (header, body) => {
      this.#take(header, body);
    },
  );
  #next = 0;
  #received = 0;
  #ended: Error | undefined;

  private constructor(socket: Socket, events: ConnectionEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.once("error", (error) => {
      this.#end(this.#isRefused ? new Error(refusal, { cause: error }) : error);
    });
    socket.once("close", () => {
      this.#end(new Error(this.#isRefused ? refusal : "the server closed the connection"));
    });
  }

  /** Connects and exchanges greetings. Rejects with an `EllipticsFailure` that says why it could not. */
  static async open(
    { host, port, family }: Address,
    events: ConnectionEvents,
  ): Promise<{ readonly connection: Connection; readonly greeting: Greeting }> {
    const connected: { to?: Connection } = {};
    // One piece of memory for all that comes: that of a packet would be much larger than the packet.
    const callback = (length: number, buffer: Uint8Array): boolean => {
      if (connected.to) connected.to.#receive(Buffer.from(buffer.buffer, buffer.byteOffset, length));
      return true;
    };
    const onread = { buffer: Buffer.allocUnsafeSlow(receiveSize), callback };
    const lively = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };
    const socket = createConnection({ host, port, ...(family && { family }), ...lively, onread });
    const connection = new Connection(socket, events);
    connected.to = connection;
    const timer = setTimeout(() => {
      connection.#end(new Error("no connection in time"));
    }, events.patience.connect);
    try {
      const greeting = await connection.#greet();
      return { connection, greeting };
    } catch (error) {
      connection.#end(error instanceof Error ? error : new Error(String(error)));
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  /**
   * Sends a request and answers the bodies of all frames of its answer. Rejects with an `EllipticsFailure` where one of
   * them has a status, when the connection is lost, and when no answer has come in time.
   */
  async request(request: Request): Promise<readonly Buffer[]> {
    return (await this.#exchange({ ...request, flags: request.flags ?? headerFlag.needAck })).bodies;
  }

  /** A server of another version says nothing, and goes. */
  get #isRefused(): boolean {
    return this.#received === 0 && this.#socket.bytesWritten > 0;
  }

  close(): void {
    this.#end(new Error("the storage is closed"));
  }

  async #greet(): Promise<Greeting> {
    const id = Buffer.alloc(idSize);
    for (const [index, number] of version.entries()) id.writeUInt32LE(number, 4 * index);
    id.writeUInt32LE(ownShards, 20);
    const flags = headerFlag.direct | headerFlag.noLock;
    const { bodies, last } = await this.#exchange({
      command: command.reverseLookup,
      id,
      group: 0,
      flags,
      longest: longestRoutes,
    });
    const [major, minor] = [last.id.readUInt32LE(0), last.id.readUInt32LE(4)];
    if (major !== version[0] || minor !== version[1]) throw new ProtocolError(`the server speaks version ${major}.${minor}`); // prettier-ignore
    const shards = last.id.readUInt32LE(20);
    if (shards < 1 || shards > mostShards) throw new ProtocolError(`the server has ${shards} shards`);
    return { shards, ...decodeHandshake(Buffer.concat(bodies)) };
  }

  async #exchange(request: Request): Promise<{ readonly bodies: readonly Buffer[]; readonly last: Header }> {
    if (this.#ended) throw lost(this.#ended);
    const { id, group, backend = 0, flags = 0, body = [], longest } = request;
    const transaction = this.#next++;
    const size = body.reduce((sum, { length }) => sum + length, 0);
    const head = encodeHeader({ id, group, backend, flags, command: request.command, transaction, size });
    const bodies: Buffer[] = [];
    return await new Promise((resolve, reject) => {
      const before = this.#received;
      const timer = setTimeout(() => {
        this.#pending.delete(transaction);
        reject(new EllipticsFailure(status.silent, "no answer in time"));
        // A server that is alive would have said something; else a new connection may find it.
        if (this.#received === before) this.#end(new Error("the server is silent"));
      }, this.#events.patience.answer);
      const settle = (outcome: Error | Header): void => {
        clearTimeout(timer);
        this.#pending.delete(transaction);
        if (outcome instanceof Error) reject(outcome);
        else resolve({ bodies, last: outcome });
      };
      this.#pending.set(transaction, { longest, bodies, length: 0, status: 0, settle });
      this.#send(head, body);
    });
  }

  #send(head: Buffer, body: readonly Buffer[]): void {
    this.#socket.cork();
    this.#socket.write(head);
    for (const piece of body) if (piece.length > 0) this.#socket.write(piece);
    this.#socket.uncork();
  }

  #receive(bytes: Buffer): void {
    this.#received += bytes.length;
    try {
      if (!this.#ended) this.#reader.push(bytes);
    } catch (error) {
      this.#end(error instanceof Error ? error : new ProtocolError(String(error)));
    }
  }

  /** Frames that are no answers are requests of the server; of these one is meant for clients. */
  #longestOf(header: Header): number | undefined {
    if ((header.flags & headerFlag.reply) === 0)
      return header.command === command.updateIds ? longestRoutes : undefined;
    const pending = this.#pending.get(header.transaction);
    return pending && pending.longest - pending.length;
  }

  #take(header: Header, body: Buffer): void {
    if ((header.flags & headerFlag.reply) === 0) {
      this.#events.onBackends(decodeBackends(body));
      return;
    }
    const pending = this.#pending.get(header.transaction);
    if (!pending) return;
    // The head counts too, or empty frames without an end could be sent.
    pending.length += body.length + headerSize;
    if (body.length > 0) pending.bodies.push(body);
    if (header.status !== 0 && pending.status === 0) pending.status = header.status;
    if ((header.flags & headerFlag.more) !== 0) return;
    const { status: found } = pending;
    pending.settle(found === 0 ? header : new EllipticsFailure(found, textOf(found)));
  }

  #end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#socket.destroy();
    for (const { settle } of [...this.#pending.values()]) settle(lost(reason));
    this.#events.onClose(reason);
  }
}

const refusal = `the server closed the connection when it was greeted: perhaps it is not of version ${version[0]}.${version[1]}`;

function lost(reason: Error): EllipticsFailure {
  return new EllipticsFailure(status.lost, `the connection was lost: ${reason.message}`);
}
