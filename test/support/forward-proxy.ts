import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";

/** A proxy as companies have them: takes CONNECT alone, and knows names that nobody else does. */
export class ForwardProxy {
  /** The hosts and ports that it was asked to connect to. */
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(ports: Readonly<Record<string, number>>) {
    this.#server = createServer((_, response) => response.writeHead(405).end());
    this.#server.on("connect", ({ url = "" }, client: Socket) => {
      this.asked.push(url);
      this.#sockets.add(client);
      const [host = "", port = ""] = url.split(":");
      const there = connect(ports[host] ?? Number(port), "127.0.0.1", () => {
        client.write("HTTP/1.1 200 Connected\r\n\r\n");
        there.pipe(client).pipe(there);
      });
      for (const [one, other] of [[client, there], [there, client]] as const) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroy());
      }
    }); // prettier-ignore
  }

  /** `ports` of this machine, by the names that lead there; other names lead to the port that is asked for. */
  static async start(ports: Readonly<Record<string, number>> = {}): Promise<ForwardProxy> {
    const proxy = new ForwardProxy(ports);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
