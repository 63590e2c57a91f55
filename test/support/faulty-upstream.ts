import { once } from "node:events";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { readFile } from "node:fs/promises";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import type { Certificate } from "./certificate.ts";

/** What becomes of an answer's body: held back after so many bytes, cut there, or with its last byte another. */
type Fault = { readonly holdAt: number } | { readonly cutAt: number; times: number } | { readonly corrupt: true };

/** What is answered instead of what the server would say. */
interface Substitute {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Stands before a registry, notes what it is asked, and spoils its answers as networks and registries do that are too
 * busy, out of order or far away. Faults are for GET of blobs and layers; substitutes for all requests but those of `/v2/`.
 */
export class FaultyUpstream {
  /** Methods and paths of all requests, in order. */
  readonly requests: string[] = [];
  /** What the requests for blobs had in `Range`. */
  readonly ranges: string[] = [];
  /** The credentials of each request. */
  readonly authorizations: (string | undefined)[] = [];
  fault: Fault | undefined;
  substitute: Substitute | undefined;
  /** Part of paths that it knows nothing of, as older registries of newer things. */
  unknown: string | undefined;
  /** Added to every answer. */
  headers: Readonly<Record<string, string>> = {};
  /** Bytes of bodies that were passed on so far. */
  passed = 0;
  readonly #server: Server;
  readonly #protocol: "http" | "https";
  readonly #target: URL;
  #release: () => void = () => undefined;
  #released: Promise<void> = Promise.resolve();

  private constructor(target: string, tls: { readonly cert: Buffer; readonly key: Buffer } | undefined) {
    this.#target = new URL(target);
    this.#protocol = tls ? "https" : "http";
    const handler = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
      void this.#pass(incoming, outgoing);
    };
    this.#server = tls ? createTlsServer(tls, handler) : createServer(handler);
  }

  /** With a certificate it speaks TLS. */
  static async start(target: string, tls?: Certificate): Promise<FaultyUpstream> {
    const files = tls && { cert: await readFile(tls.certificate), key: await readFile(tls.key) };
    const upstream = new FaultyUpstream(target, files);
    await upstream.listen(0);
    return upstream;
  }

  /** Listens again, after `stop`, where it did before. */
  async listen(port: number): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#protocol}://127.0.0.1:${this.port}`;
  }

  /** How often something was asked for whose line this is a part of. */
  count(part: string): number {
    return this.requests.filter((line) => line.includes(part)).length;
  }

  /** Sends the first bytes of each blob, and the rest once `release` is called. */
  hold(bytes: number): void {
    this.fault = { holdAt: bytes };
    this.#released = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.fault = undefined;
    this.#release();
  }

  calm(): void {
    this.release();
    this.substitute = undefined;
    this.unknown = undefined;
    this.headers = {};
    this.requests.length = 0;
    this.ranges.length = 0;
    this.authorizations.length = 0;
    this.passed = 0;
  }

  async stop(): Promise<void> {
    this.release();
    this.#server.closeAllConnections();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = incoming;
    this.requests.push(`${method} ${url}`);
    this.authorizations.push(headers.authorization);
    if (headers.range !== undefined) this.ranges.push(headers.range);
    outgoing.on("error", () => undefined);
    if (this.unknown !== undefined && url.includes(this.unknown)) {
      outgoing.writeHead(404).end();
      return;
    }
    if (this.substitute && url !== "/v2/") {
      outgoing.writeHead(this.substitute.status, this.substitute.headers).end();
      return;
    }
    const asked = request(this.#target, { method, path: url, headers: { ...headers, host: this.#target.host } });
    asked.on("error", () => outgoing.destroy());
    incoming.pipe(asked);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    outgoing.writeHead(answer.statusCode ?? 500, { ...answer.headers, ...this.headers });
    const isBlob = method === "GET" && /\/blobs\/|\/layer$/.test(url);
    const length = Number(answer.headers["content-length"] ?? 0);
    await this.#body(answer, outgoing, length, isBlob ? this.fault : undefined).catch(() => outgoing.destroy());
  }

  async #body(source: Readable, outgoing: ServerResponse, whole: number, fault: Fault | undefined): Promise<void> {
    let sent = 0;
    for await (const chunk of source as AsyncIterable<Buffer>) {
      for (const part of pieces(chunk, sent, fault)) {
        if (fault && "holdAt" in fault && sent >= fault.holdAt) await this.#released;
        if (fault && "cutAt" in fault && sent >= fault.cutAt && fault.times > 0) {
          if (--fault.times === 0) this.fault = undefined;
          // What was sent arrives; a reset could overtake it.
          outgoing.socket?.end();
          return;
        }
        if (fault && "corrupt" in fault && sent + part.length === whole) part.fill("x", part.length - 1);
        sent += part.length;
        this.passed += part.length;
        if (!outgoing.write(part)) await once(outgoing, "drain");
      }
    }
    outgoing.end();
  }
}

/** The chunk in two where a fault lies within it. */
function pieces(chunk: Buffer, sent: number, fault: Fault | undefined): readonly Buffer[] {
  const at = fault && "holdAt" in fault ? fault.holdAt : fault && "cutAt" in fault ? fault.cutAt : -1;
  const within = at - sent;
  return within <= 0 || within >= chunk.length ? [chunk] : [chunk.subarray(0, within), chunk.subarray(within)];
}
