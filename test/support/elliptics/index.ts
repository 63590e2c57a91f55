import { createHash, randomInt } from "node:crypto";
import { removeFolder, temporaryFolder } from "../program.ts";
import { Backend, type Request } from "./backend.ts";
import { Faults } from "./faults.ts";
import { EllipticsNode, type Owner, type Surroundings } from "./node.ts";
import { commands, type CommandName, type Header } from "./wire.ts";

/** One node with the group 1; two or three nodes with a group each; three nodes that share the group 1. */
export type Layout = "one" | "two" | "three" | "ring";

/** How a cluster is, where it isn't as usual. */
export interface EllipticsOptions {
  readonly layout: Layout;
  /** Shards of the indexes: 2 unless given. */
  readonly shards?: number;
  /** The protocol's version, 2.26 unless given. */
  readonly version?: readonly [major: number, minor: number];
  /** 10 for IPv6. */
  readonly family?: 2 | 10;
  /** What nodes say that all their addresses are, instead of what they are. */
  readonly advertised?: Buffer;
  readonly seed?: number;
}

/** A request as it came, for tests that look at bytes. The content of a large WRITE is left out. */
export interface Received {
  readonly header: Header;
  readonly body: Buffer;
  readonly port: number;
}

const groupsOf = { one: [1], two: [1, 2], three: [1, 2, 3], ring: [1, 1, 1] } as const;

/** Servers of the test's own that speak the Elliptics 2.26 protocol, note what is wrong, and can be made to fail. */
export class EllipticsCluster {
  readonly nodes: readonly EllipticsNode[];
  readonly shards: number;
  readonly seed: number;
  readonly faults: Faults;
  /** What no sound client sends; tests end with none. */
  readonly violations: string[] = [];
  /** How many requests came of each command. */
  readonly requests = Object.fromEntries(Object.keys(commands).map((name) => [name, 0])) as Record<CommandName, number>;
  /** The requests that came since a test set this to `[]`. */
  received: Received[] | undefined;
  readonly #folder: string;

  private constructor(folder: string, options: EllipticsOptions) {
    const { layout, shards = 2, version = [2, 26], family = 2, advertised, seed = randomInt(2 ** 31) } = options;
    this.#folder = folder;
    this.shards = shards;
    this.seed = seed;
    this.faults = new Faults(seed);
    const around: Surroundings = {
      shards,
      version,
      folder,
      faults: this.faults,
      routes: () => this.#running.map((node) => advertised ?? node.addressBytes),
      ownerOf: (id, group) => this.#ownerOf(id, group),
      complain: (what) => this.violations.push(what),
      note: (request, node) => {
        this.#note(request, node);
      },
    };
    this.nodes = groupsOf[layout].map((group, index) => {
      const backend = new Backend(index + 1, group, ringIds(index, layout === "ring" ? 3 : 1), folder);
      return new EllipticsNode(family, [backend], around);
    });
  }

  static async start(options: EllipticsOptions): Promise<EllipticsCluster> {
    const cluster = new EllipticsCluster(await temporaryFolder("elliptics"), options);
    for (const node of cluster.nodes) await node.start();
    return cluster;
  }

  get groups(): readonly number[] {
    return [...new Set(this.backends.map(({ group }) => group))];
  }

  get backends(): readonly Backend[] {
    return this.nodes.flatMap((node) => node.backends);
  }

  /** The addresses of all nodes, as `elliptics_nodes` has them. */
  get addresses(): readonly string[] {
    return this.nodes.map(({ address }) => address);
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.nodes.reduce((sum, { connections }) => sum + connections, 0);
  }

  /** What came since the last call was sound, or this throws and tells what wasn't. */
  check(): void {
    const wrong = [...new Set(this.violations.splice(0))];
    if (wrong.length > 0) throw new Error(`against the protocol (seed ${this.seed}):\n${wrong.join("\n")}`);
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await node.stop();
    await removeFolder(this.#folder);
  }

  get #running(): readonly EllipticsNode[] {
    return this.nodes.filter(({ isRunning }) => isRunning);
  }

  /** The backend whose ring id is the last one that isn't beyond `id`; before the first, that of the very last. */
  #ownerOf(id: Buffer, group: number): Owner | undefined {
    const points = this.#running
      .flatMap((node) => node.backends.map((backend) => ({ node, backend })))
      .filter(({ backend }) => backend.isEnabled && backend.group === group)
      .flatMap((owner) => owner.backend.ringIds.map((ringId) => ({ ringId, owner })))
      .sort((a, b) => Buffer.compare(a.ringId, b.ringId));
    return (points.findLast(({ ringId }) => Buffer.compare(ringId, id) <= 0) ?? points.at(-1))?.owner;
  }

  #note({ header, body, piece }: Request, node: EllipticsNode): void {
    for (const [name, number] of Object.entries(commands)) {
      if (number === header.command) this.requests[name as CommandName] += 1;
    }
    const content = Buffer.isBuffer(piece) ? piece : Buffer.alloc(0);
    this.received?.push({ header, body: Buffer.concat([body, content]), port: node.port });
  }
}

/** Starts a cluster; its `close` ends it. */
export async function startElliptics(options: EllipticsOptions): Promise<EllipticsCluster> {
  return await EllipticsCluster.start(options);
}

/** Points on the ring, always the same for a backend. */
function ringIds(backend: number, count: number): readonly Buffer[] {
  return Array.from({ length: count }, (_, index) => createHash("sha512").update(`ring ${backend} ${index}`).digest());
}
