import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { rmSync } from "node:fs";
import type { Backend, Complain, Reply, Request } from "./backend.ts";
import { answerTo, Outlet, requestsOf } from "./connection.ts";
import { chunksOf, type Sendable } from "./content.ts";
import type { Faults } from "./faults.ts";
import { changeIndex, find, updateTags } from "./tags.ts";
import { addressBytes, commands, flag, headerBytes, ioSize, status, type CommandName, type Header } from "./wire.ts"; // prettier-ignore

/** Who keeps an id. */
export interface Owner {
  readonly node: EllipticsNode;
  readonly backend: Backend;
}

/** What a node knows of the others, and what it tells the test. */
export interface Surroundings {
  readonly shards: number;
  readonly version: readonly [major: number, minor: number];
  readonly folder: string;
  readonly faults: Faults;
  /** What nodes say that their addresses are; of those that run. */
  readonly routes: () => readonly Buffer[];
  /** Who has an id in a group, of those that run. */
  readonly ownerOf: (id: Buffer, group: number) => Owner | undefined;
  readonly complain: Complain;
  /** Notes a request that has come whole. */
  readonly note: (request: Request, node: EllipticsNode) => void;
}

interface Peer {
  readonly socket: Socket;
  readonly outlet: Outlet;
  readonly open: Set<bigint>;
  hasShakenHands: boolean;
}

const hosts = { 2: ["127.0.0.1", Buffer.of(127, 0, 0, 1)], 10: ["::1", Buffer.alloc(16).fill(1, 15)] } as const;
const names = new Map(Object.entries(commands).map(([name, number]) => [number as number, name as CommandName]));

/** A server of the cluster. What its backends keep stays when it is stopped and started. */
export class EllipticsNode {
  readonly family: 2 | 10;
  readonly backends: readonly Backend[];
  port = 0;
  /** How many connections it has taken. */
  accepted = 0;
  readonly #around: Surroundings;
  readonly #peers = new Set<Peer>();
  readonly #turns = new Map<string, Promise<void>>();
  #server: Server | undefined;

  constructor(family: 2 | 10, backends: readonly Backend[], around: Surroundings) {
    this.family = family;
    this.backends = backends;
    this.#around = around;
  }

  /** As an operator writes it. */
  get address(): string {
    const [host] = hosts[this.family];
    return `${host}:${this.port}:${this.family}`;
  }

  /** As the protocol has it. */
  get addressBytes(): Buffer {
    return addressBytes(this.family, this.port, hosts[this.family][1]);
  }

  get isRunning(): boolean {
    return this.#server !== undefined;
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#peers.size;
  }

  /** Listens, on the same port as before. */
  async start(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => {
      this.#accept(socket);
    });
    server.listen(this.port, hosts[this.family][0]);
    await once(server, "listening");
    const address = server.address();
    if (address !== null && typeof address === "object") this.port = address.port;
    this.#server = server;
  }

  /** Ends it as a power cut would, but what was written is there. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    server.close();
    this.cutAll();
    await once(server, "close");
  }

  /** Cuts all connections. */
  cutAll(): void {
    for (const { socket } of this.#peers) socket.resetAndDestroy();
  }

  /** Lets a backend leave or come back, and tells the clients unasked. */
  async setEnabled(backend: Backend, isEnabled: boolean): Promise<void> {
    backend.isEnabled = isEnabled;
    await this.tell(updateOf([backend]));
  }

  /** Sends all clients something unasked. */
  async tell(bytes: Buffer): Promise<void> {
    const told = [...this.#peers].filter((peer) => peer.hasShakenHands);
    await Promise.all(told.map(async ({ outlet }) => { await outlet.send([bytes]); })); // prettier-ignore
  }

  #accept(socket: Socket): void {
    this.accepted += 1;
    const outlet = new Outlet(socket, this.#around.faults);
    const peer: Peer = { socket, outlet, open: new Set(), hasShakenHands: false };
    this.#peers.add(peer);
    socket.on("error", () => undefined).once("close", () => this.#peers.delete(peer));
    this.#serve(peer).catch(() => socket.destroy());
  }

  async #serve(peer: Peer): Promise<void> {
    const { folder, note } = this.#around;
    for await (const request of requestsOf(peer.socket, folder, (header) => this.#begins(header, peer))) {
      note(request, this);
      const { header } = request;
      peer.open.add(header.transaction);
      const key = `${header.group} ${header.id.toString("hex")}`;
      // In order on one key, in any order between keys.
      const done = (this.#turns.get(key) ?? Promise.resolve()).then(async () => {
        await this.#answer(request, peer);
      });
      const settled = done
        .catch((error: unknown) => {
          this.#around.complain(
            `a request broke the server: ${error instanceof Error ? error.message : String(error)}`,
          );
          peer.socket.destroy();
        })
        .finally(() => {
          if (this.#turns.get(key) === settled) this.#turns.delete(key);
        });
      this.#turns.set(key, settled);
    }
  }

  /** Looks at a head whose body is still to come; whether it is taken at all. */
  #begins(header: Header, peer: Peer): boolean {
    const { complain, version } = this.#around;
    const name = names.get(header.command) ?? `command ${header.command}`;
    const said = (what: string): void => {
      complain(`${name}: ${what}`);
    };
    if (header.status !== 0 || header.reserved !== 0n) said("a header with a status or something reserved");
    if ((header.flags & flag.reply) !== 0) said("an answer instead of a request");
    if (peer.open.has(header.transaction)) said(`the open transaction ${header.transaction} again`);
    const hasNoBody = header.command === commands.LOOKUP || header.command === commands.ROUTE_LIST || header.command === commands.REVERSE_LOOKUP; // prettier-ignore
    if (hasNoBody && header.size !== 0) said(`a body of ${header.size} bytes`);
    if (header.command === commands.REVERSE_LOOKUP) {
      const [major, minor] = [header.id.readUInt32LE(0), header.id.readUInt32LE(4)];
      if (header.flags !== (flag.direct | flag.noLock)) said(`the flags ${header.flags}`);
      if (major !== 2 || minor !== 26) said(`the version ${major}.${minor}`);
      if (header.group !== 0) said(`the group ${header.group}`);
      peer.hasShakenHands = major === version[0] && minor === version[1];
      if (!peer.hasShakenHands) peer.socket.destroy();
      return peer.hasShakenHands;
    }
    if (!peer.hasShakenHands) said("a request before the handshake");
    if ((header.flags & flag.needAck) === 0) said("no NEED_ACK");
    if (header.command === commands.ROUTE_LIST && header.flags !== 0x19) said(`the flags ${header.flags}`);
    const known = flag.needAck | flag.direct | flag.noLock | flag.checksum;
    if ((header.flags & ~known) !== 0) said(`the flags ${header.flags}`);
    if (header.command === commands.JOIN) said("a client must not join");
    if (header.command !== commands.ROUTE_LIST && header.group === 0) said("no group");
    return true;
  }

  async #answer(request: Request, peer: Peer): Promise<void> {
    const { faults } = this.#around;
    const { header } = request;
    const { status: refusal, silent, held, cutAfter, fuzz } = faults.for(header, this.port);
    if (faults.milliseconds > 0) await new Promise((resolve) => setTimeout(resolve, faults.milliseconds));
    for (let turns = faults.random(3); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    if (silent === true || !this.isRunning) {
      forget(request);
      return;
    }
    const owner = header.group === 0 ? undefined : this.#around.ownerOf(header.id, header.group);
    if (refusal !== undefined) forget(request);
    const replies = refusal === undefined ? this.#done(request, owner) : [{ status: refusal }];
    await held;
    for (const reply of replies) {
      const frame = answerTo(header, reply, owner?.backend.id ?? 0);
      if (reply.more !== true) peer.open.delete(header.transaction);
      if (fuzz) for (const wrong of fuzz(whole(frame))) await peer.outlet.send([wrong]);
      else await peer.outlet.send(frame, cutAfter);
      if (reply.more === true && faults.random(2) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Does what a request asks for, here or where its id belongs. */
  #done(request: Request, owner: Owner | undefined): readonly Reply[] {
    const { header, body } = request;
    const { complain, shards, version, routes } = this.#around;
    switch (header.command) {
      case commands.REVERSE_LOOKUP: {
        const id = Buffer.alloc(64);
        for (const [position, number] of [...version, 11, 1, 0, shards].entries()) id.writeUInt32LE(number, position * 4);
        return [{ id, body: [addressList([this.addressBytes]), backendList(this.backends.filter((each) => each.isEnabled))] }];
      }
      case commands.ROUTE_LIST:
        return [{ body: [addressList(routes())] }];
      default:
    } // prettier-ignore
    if (!owner || ((header.flags & flag.direct) !== 0 && owner.node !== this)) {
      forget(request);
      return [{ status: status.unsupported }];
    }
    const { node, backend } = owner;
    const needsIo = header.command === commands.WRITE || header.command === commands.READ || header.command === commands.DEL; // prettier-ignore
    if (needsIo && body.length < ioSize) {
      complain(`a body of ${body.length} bytes where io attributes should be`);
      return [{ status: status.invalid }];
    }
    const tagging = {
      shards,
      complain,
      ownerOf: (id: Buffer, group: number) => this.#around.ownerOf(id, group)?.backend,
      crash: () => {
        complain("INDEXES_UPDATE with the inner group 0: the server crashed");
        void node.stop();
      },
    };
    switch (header.command) {
      case commands.WRITE:
        return backend.write(request, node.addressBytes, complain);
      case commands.READ:
        return backend.read(request, complain);
      case commands.LOOKUP:
        return backend.lookup(request, node.addressBytes);
      case commands.DEL:
        return this.#acknowledged(header, backend.remove(request, complain));
      case commands.INDEXES_UPDATE:
        return this.#acknowledged(header, updateTags(request, backend, tagging));
      case commands.INDEXES_INTERNAL:
        return this.#acknowledged(header, changeIndex(request, backend, tagging));
      case commands.INDEXES_FIND:
        return find(request, backend, tagging);
      default:
        complain(`the unknown command ${header.command}`);
        return [{ status: status.unsupported }];
    }
  }

  /** Without NEED_ACK, an empty last frame that tells of success is not sent. */
  #acknowledged({ flags }: Header, replies: readonly Reply[]): readonly Reply[] {
    if ((flags & flag.needAck) !== 0) return replies;
    return replies.filter((reply) => reply.body !== undefined || (reply.status ?? 0) !== 0);
  }
}

/** What a server says when backends have left or come back. */
export function updateOf(backends: readonly Backend[]): Buffer {
  const body = backendList(backends);
  const head = { command: commands.UPDATE_IDS, flags: flag.direct | flag.noLock, size: body.length };
  return Buffer.concat([headerBytes(head), body]);
}

function addressList(addresses: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(1, 0);
  head.writeUInt32LE(addresses.length, 4);
  return Buffer.concat([head, ...addresses]);
}

function backendList(backends: readonly Backend[]): Buffer {
  const numbers = (...values: readonly number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 4);
    for (const [position, value] of values.entries()) bytes.writeUInt32LE(value, position * 4);
    return bytes;
  };
  const records = backends.map(({ id, group, ringIds, isEnabled }) =>
    isEnabled ? Buffer.concat([numbers(id, group, 0, ringIds.length), ...ringIds]) : numbers(id, 0, 1, 0),
  );
  return Buffer.concat([numbers(backends.length), ...records]);
}

function whole(frame: readonly Sendable[]): Buffer {
  return Buffer.concat(frame.flatMap((part) => [...chunksOf(part)]));
}

/** Removes what a request brought, and nobody takes. */
function forget({ piece }: Request): void {
  if (!Buffer.isBuffer(piece)) rmSync(piece.path, { force: true });
}
