import { setTimeout as sleep } from "node:timers/promises";
import { Connection, longestRoutes, type Greeting, type Request } from "./connection.ts";
import type { EventLog } from "./event-log.ts";
import { EllipticsFailure, status } from "./failure.ts";
import { command, headerFlag } from "./frame.ts";
import { idSize } from "./ids.ts";
import { Ring } from "./ring.ts";
import { decodeRouteList, type Address } from "./structures.ts";

/** Which servers a cluster is made of, and how they are treated. Times in milliseconds. */
export interface ClusterSettings {
  readonly remotes: readonly Address[];
  /** How long an answer is waited for. */
  readonly wait: number;
  /** How often servers are asked who else there is, and those that nobody has ever reached are tried. */
  readonly check: number;
  /** Waits between attempts to connect to a server that should be there. */
  readonly pauses: { readonly shortest: number; readonly longest: number };
  /** Servers are asked who else there is. */
  readonly asksRoutes: boolean;
  readonly log: EventLog;
}

/** A server that is known by its address, connected or not. */
interface Node {
  readonly name: string;
  readonly address: Address;
  /** The operator has named it, or it has answered before: it should be there. */
  isExpected: boolean;
  /** At which place the server lists the address, where each has several. */
  place: number;
  connection: Connection | undefined;
  opening: Promise<Connection> | undefined;
  failures: number;
  failedAt: number;
  reason: string;
  timer: NodeJS.Timeout | undefined;
}

/** How long an attempt to connect may take. */
const longestConnect = 5_000;
/** A request that needs a server tries to connect when the last attempt is so long ago. */
const patience = 200;

/**
 * Connections to all servers of a cluster, made again when they break. A server that can't be reached keeps its parts of the
 * ring: what is there is not missing, it can't be had. Another would look for it at a place of its own, and find nothing.
 */
export class Cluster {
  readonly #settings: ClusterSettings;
  readonly #nodes = new Map<string, Node>();
  /** By which addresses else a server that has answered is known. */
  readonly #aliases = new Set<string>();
  readonly #ring = new Ring<Node>();
  #shards: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(settings: ClusterSettings) {
    this.#settings = settings;
    for (const remote of settings.remotes) this.#add(remote, true);
  }

  /** Connects to all servers that can be found. Never rejects: a server may come later. */
  async start(): Promise<void> {
    const { wait, check, remotes } = this.#settings;
    this.#timer = setInterval(() => {
      void this.#refresh();
    }, check);
    this.#timer.unref();
    const expected = [...this.#nodes.values()].map(async (node) => await this.#open(node).catch(ignored));
    await Promise.all(expected);
    await Promise.race([this.#refresh(), sleep(Math.min(wait, longestConnect), undefined, { ref: false })]);
    const connected = [...this.#nodes.values()].filter(isConnected).length;
    this.#settings.log.log("info", `connected to ${connected} of ${this.#nodes.size} nodes, ${remotes.length} are configured`); // prettier-ignore
  }

  /** How many shards the servers' index tables have. Rejects as `request` does when none has been reached. */
  async shards(): Promise<number> {
    if (this.#shards === undefined) await this.#anyNode();
    return this.#shards ?? 1;
  }

  /**
   * Asks the server that owns the request's id. Rejects with an `EllipticsFailure`. `routed` puts the backend that the ring
   * says into the request.
   */
  async request(request: Request, routed: boolean): Promise<readonly Buffer[]> {
    if (this.#isClosed) throw new EllipticsFailure(status.lost, "the storage is closed");
    const places = this.#ring.find(request.group, request.id);
    const place = places.find(({ owner }) => isConnected(owner)) ?? places[0];
    const node = place === undefined ? await this.#anyNode() : place.owner;
    const connection = await this.#reach(node);
    try {
      return await connection.request(routed && place ? { ...request, backend: place.backend } : request);
    } catch (error) {
      // That something is missing is no failure of the node's.
      if (!(error instanceof EllipticsFailure) || error.status === status.missing) throw error;
      throw new EllipticsFailure(error.status, `node ${node.name}: ${error.message}`);
    }
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const { connection, timer } of this.#nodes.values()) {
      clearTimeout(timer);
      connection?.close();
    }
  }

  #add(address: Address, isExpected: boolean): Node {
    const name = nameOf(address);
    const node: Node = {
      name, address, isExpected, place: 0, connection: undefined, opening: undefined, failures: 0, failedAt: 0, reason: "", timer: undefined,
    }; // prettier-ignore
    this.#nodes.set(name, node);
    return node;
  }

  /** A node that is connected now. */
  async #anyNode(): Promise<Node> {
    const nodes = [...this.#nodes.values()];
    const connected = nodes.find(isConnected);
    if (connected) return connected;
    try {
      return await Promise.any(nodes.map(async (node) => await this.#reach(node).then(() => node)));
    } catch {
      const reasons = nodes.map(({ name, reason }) => `${name}: ${reason || "not tried"}`).join("; ");
      throw new EllipticsFailure(status.unroutable, `no node can be reached (${reasons})`);
    }
  }

  /** Tries once where nobody has tried a moment ago. */
  async #reach(node: Node): Promise<Connection> {
    if (node.connection?.isOpen) return node.connection;
    if (node.opening === undefined && Date.now() - node.failedAt < patience) throw unreachable(node);
    return await this.#open(node);
  }

  async #open(node: Node): Promise<Connection> {
    if (this.#isClosed) throw new EllipticsFailure(status.lost, "the storage is closed");
    if (node.connection?.isOpen) return node.connection;
    return await (node.opening ??= this.#connect(node).finally(() => {
      node.opening = undefined;
    }));
  }

  async #connect(node: Node): Promise<Connection> {
    clearTimeout(node.timer);
    const { wait, log } = this.#settings;
    try {
      const { connection, greeting } = await Connection.open(node.address, {
        patience: { answer: wait, connect: Math.min(wait, longestConnect) },
        onBackends: (backends) => {
          log.log("notice", `${node.name} tells of ${backends.length} changed backends`);
          this.#ring.update(node, backends);
        },
        onClose: (reason) => {
          if (node.connection?.isOpen === false) this.#failed(node, reason);
        },
      });
      if (this.#isClosed) connection.close();
      if (!connection.isOpen) throw new Error("the connection was closed");
      this.#greeted(node, connection, greeting);
      return connection;
    } catch (error) {
      this.#failed(node, error instanceof Error ? error : new Error(String(error)));
      throw unreachable(node);
    }
  }

  #greeted(node: Node, connection: Connection, greeting: Greeting): void {
    const { log } = this.#settings;
    const place = greeting.addresses.findIndex((address) => nameOf(address) === node.name);
    Object.assign(node, { connection, failures: 0, reason: "", isExpected: true, place: Math.max(0, place) });
    for (const address of greeting.addresses) this.#aliases.add(nameOf(address));
    this.#ring.replace(node, greeting.backends);
    if (this.#shards !== undefined && this.#shards !== greeting.shards) {
      log.log("error", `${node.name} has ${greeting.shards} index shards, another had ${this.#shards}`);
    }
    this.#shards = greeting.shards;
    const backends = greeting.backends.map(({ backend, group }) => `${backend} of group ${group}`).join(", ");
    log.log("info", `connected to ${node.name} with backends ${backends || "none"}, ${greeting.shards} index shards`);
  }

  #failed(node: Node, reason: Error): void {
    if (this.#isClosed) return;
    const { check, log } = this.#settings;
    // Said once, however often it is tried again.
    if (node.reason !== reason.message)
      log.log(node.isExpected ? "error" : "notice", `${node.name}: ${reason.message}`);
    Object.assign(node, { connection: undefined, failedAt: Date.now(), reason: reason.message });
    const longest = node.isExpected ? Math.min(this.#settings.pauses.longest, check) : check;
    const pause = Math.min(longest, this.#settings.pauses.shortest * 2 ** Math.min(node.failures++, 20));
    clearTimeout(node.timer);
    node.timer = setTimeout(() => {
      this.#open(node)
        .then(async () => {
          await this.#refresh();
        })
        .catch(ignored);
    }, pause);
    node.timer.unref();
  }

  /** Asks every connected server who else there is, and connects to those that are new. Never rejects. */
  async #refresh(): Promise<void> {
    if (!this.#settings.asksRoutes) return;
    await Promise.all(
      [...this.#nodes.values()].map(async (node) => {
        await this.#discover(node);
      }),
    );
  }

  async #discover({ connection, name, place }: Node): Promise<void> {
    if (!connection?.isOpen) return;
    const flags = headerFlag.needAck | headerFlag.direct | headerFlag.noLock;
    const request = { command: command.routeList, id: Buffer.alloc(idSize), group: 0, flags, longest: longestRoutes };
    try {
      const { perNode, addresses } = decodeRouteList(Buffer.concat(await connection.request(request)));
      const others = addresses.filter((_, index) => index % Math.max(1, perNode) === place);
      await Promise.all(
        others.map(async (address) => {
          await this.#meet(address);
        }),
      );
    } catch (error) {
      this.#settings.log.log("warning", `${name} does not tell its routes: ${String(error)}`);
    }
  }

  /** Connects to a server that another has told of. */
  async #meet(address: Address): Promise<void> {
    const name = nameOf(address);
    if (address.port === 0 || this.#aliases.has(name) || this.#nodes.has(name) || this.#nodes.size >= mostNodes) return;
    const node = this.#add(address, false);
    const connection = await this.#open(node).catch(ignored);
    if (connection) await this.#discover(node);
  }
}

/** No cluster has more servers; an answer that says so is not believed. */
const mostNodes = 1_000;

function isConnected({ connection }: Node): boolean {
  return connection?.isOpen === true;
}

function nameOf({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function unreachable({ name, reason }: Node): EllipticsFailure {
  return new EllipticsFailure(status.unroutable, `node ${name} can't be reached: ${reason}`);
}

/** The failure has been told of, and counted. */
function ignored(): undefined {
  return undefined;
}
