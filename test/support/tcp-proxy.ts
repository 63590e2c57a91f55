import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** What becomes of what passes: all of it passes, at once or little by little, nothing at all, or each request is answered with 503. */
export type ProxyMode = "pass" | "slow" | "silent" | "refuse" | "busy";

/** How long each packet is on its way where all is slow, in milliseconds. */
const slowness = 25;

const methods = /^(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP\/1\.1\r\n/;
const busy = "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>later</Message></Error>";

/**
 * Stands before a server: counts the requests, and disturbs connections as a network or a front end of it would. Each
 * request begins a packet of its own, as Node sends them.
 */
export class TcpProxy {
  /** The first lines of all requests, without the version. */
  readonly requests: string[] = [];
  mode: ProxyMode = "pass";
  /** How many connections there have been. */
  accepted = 0;
  readonly #server: Server;
  readonly #target: number;
  readonly #open = new Set<Socket>();
  #cuts: { readonly direction: "up" | "down"; bytes: number; times: number } | undefined;
  #busyTimes = Infinity;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
  }

  /** One before the server that listens on `target` of this machine. */
  static async start(target: number): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    const proxy = new TcpProxy(server, target);
    server.on("connection", (client) => {
      proxy.#accept(client);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#open.size;
  }

  /** Cuts a connection once so many bytes have passed it up to the server or down to the client, and so do the next ones. */
  cutAfter(direction: "up" | "down", bytes: number, times = 1): void {
    this.#cuts = { direction, bytes, times };
  }

  /** Answers the next requests with 503, and then none any more. */
  busyFor(times: number): void {
    this.#busyTimes = times;
    this.mode = "busy";
  }

  /** Everything passes again. */
  calm(): void {
    this.mode = "pass";
    this.#cuts = undefined;
    this.#busyTimes = Infinity;
  }

  /** Cuts all connections. */
  cutAll(): void {
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    this.cutAll();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client: Socket): void {
    client.on("error", () => undefined);
    this.accepted++;
    if (this.mode === "refuse") {
      client.resetAndDestroy();
      return;
    }
    this.#open.add(client);
    const server = connect(this.#target, "127.0.0.1").setNoDelay(true);
    const end = (): void => {
      this.#open.delete(client);
      client.destroy();
      server.destroy();
    };
    client.once("close", end);
    server.on("error", end);
    server.once("close", () => {
      // Behind what is still on its way.
      if (this.mode === "slow") setTimeout(() => client.end(), slowness);
      else client.end();
    });
    const passed = { up: 0, down: 0 };
    const pass = (direction: "up" | "down", from: Socket, to: Socket) => (chunk: Buffer) => {
      if (direction === "up" && this.#answers(chunk, client)) return;
      if (this.mode === "silent" || this.mode === "busy") return;
      passed[direction] += chunk.length;
      if (this.#isToBeCut(direction, passed[direction])) {
        client.resetAndDestroy();
        return;
      }
      if (this.mode === "slow") {
        from.pause();
        setTimeout(() => {
          to.write(chunk);
          from.resume();
        }, slowness);
        return;
      }
      if (to.write(chunk)) return;
      from.pause();
      to.once("drain", () => {
        from.resume();
      });
    };
    client.on("data", pass("up", client, server));
    server.on("data", pass("down", server, client));
  }

  /** Notes a request; whether it was answered here. */
  #answers(chunk: Buffer, client: Socket): boolean {
    const [, method, path] = methods.exec(chunk.subarray(0, 4096).toString("latin1")) ?? [];
    if (method === undefined || path === undefined) return false;
    this.requests.push(`${method} ${path}`);
    if (this.mode !== "busy") return false;
    const head = `HTTP/1.1 503 Slow Down\r\nContent-Length: ${busy.length}\r\nConnection: close\r\n\r\n`;
    client.end(method === "HEAD" ? head : head + busy);
    if (--this.#busyTimes === 0) this.calm();
    return true;
  }

  #isToBeCut(direction: "up" | "down", passed: number): boolean {
    const cuts = this.#cuts;
    if (cuts?.direction !== direction || passed < cuts.bytes) return false;
    if (--cuts.times <= 0) this.#cuts = undefined;
    return true;
  }
}
