import { once } from "node:events";
import { chmod, unlink } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { watchCertificate, type CertificateFiles } from "./certificate-watch.ts";
import { holdContinue } from "./http/body.ts";
import { Connections } from "./http/connections.ts";
import { milliseconds } from "./http/timeout.ts";
import { readAuthorities, readCertificate } from "./pem.ts";

/** What answers requests: a Koa application's `callback()`, or any function. It must not throw or reject. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Where and how to listen. Times in seconds. */
export interface ListenOptions {
  /** An address or host name; or `unix:/path` for a socket there. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Paths of PEM files; with them the server speaks HTTPS, TLS 1.2 or later. New connections get what they hold then. */
  readonly tls?: CertificateFiles | undefined;
  /** How long a client may take over the headers of a request, or a TLS handshake; 0 is for ever. Default 60. */
  readonly headerTimeout?: number;
  /** How long an idle connection is kept; longer than a front end keeps it, so that the front end closes first. Default 95. */
  readonly keepAliveTimeout?: number;
  /** Hears when a connection could not be accepted (too many open files), or a new certificate be used; the server goes on. */
  readonly onError?: (what: string, error: unknown) => void;
  /** Whether a worker has the port for itself instead of sharing it with the others. */
  readonly exclusive?: boolean;
  /** What the options of host and port are called in messages; those of the registry if nothing is said. */
  readonly optionsAre?: OptionNames;
}

interface OptionNames {
  readonly host: string;
  readonly port: string;
}

/** A server that accepts connections. */
export interface RunningServer {
  /** `http://host:port`, with the real port; `unix:/path` for a socket. */
  readonly url: string;
  /** The port, also when 0 was asked for; undefined for a socket. */
  readonly port: number | undefined;
  /**
   * Stops accepting, closes idle connections, lets requests in flight finish for `deadline` seconds and cuts the rest.
   * Resolves when every connection is closed, with how many had to be cut. Again: the same promise.
   */
  close(deadline: number): Promise<number>;
  /** Ends the wait of `close`: cuts every connection now. */
  cut(): void;
}

/** The server could not be started: what is in the way, and what to do about it. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

const registryOptions: OptionNames = {
  host: "http.host, REGISTRY_HOST or --host",
  port: "http.port, REGISTRY_PORT or --port",
};
/** Bearer tokens and chains of proxies make long headers; Node's own limit is 16 KiB. */
const maxHeaderSize = 32 * 1024;
/** Probes connections whose peer may have vanished without a word, in milliseconds. */
const deadPeerDelay = 60_000;

/** Serves `handler` over HTTP/1.1. Rejects with `ListenError`. Bodies may take any time: their readers watch for silence. */
export async function listen(handler: Handler, options: ListenOptions): Promise<RunningServer> {
  const connections = new Connections();
  const server = await create(options);
  server.on(options.tls ? "secureConnection" : "connection", (socket: Socket) => {
    connections.add(socket);
  });
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    connections.begin(request, response);
    handler(request, response);
  };
  server.on("request", serve);
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    holdContinue(request);
    serve(request, response);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (socket instanceof Socket) connections.refuse(socket, refusals[error.code ?? ""] ?? "400 Bad Request");
  });
  await bind(server, options);
  server.on("error", (error) => options.onError?.("A connection could not be accepted", error));
  return running(server, connections, options);
}

const refusals: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
};

/** Removes what a server that was killed left of its socket, so that it can be bound again. Nothing for other hosts. */
export async function removeStaleSocket(host: string): Promise<void> {
  const path = socketPath(host);
  if (path === undefined) return;
  const probe = connect(path);
  try {
    await once(probe, "connect");
  } catch (error) {
    if (codeOf(error) === "ECONNREFUSED") await unlink(path);
  } finally {
    probe.destroy();
  }
}

async function create(options: ListenOptions): Promise<Server> {
  const headerTimeout = milliseconds(options.headerTimeout ?? 60);
  const http: ServerOptions = {
    maxHeaderSize,
    requestTimeout: 0,
    headersTimeout: headerTimeout,
    keepAliveTimeout: milliseconds(options.keepAliveTimeout ?? 95),
    connectionsCheckingInterval: Math.min(headerTimeout || 30_000, 5_000),
    keepAlive: true,
    keepAliveInitialDelay: deadPeerDelay,
  };
  if (!options.tls) return createServer(http);
  const handshake = headerTimeout > 0 ? { handshakeTimeout: headerTimeout } : {};
  // Who shows none, or another, is told so by an answer.
  const clients = options.tls.clientAuthorities === undefined ? {} : { requestCert: true, rejectUnauthorized: false };
  const server = createTlsServer({ ...http, ...handshake, ...clients, ...(await secureContext(options.tls)) });
  const { tls } = options;
  const renew = async (): Promise<void> => {
    server.setSecureContext(await secureContext(tls));
  };
  const failed = (error: unknown): void => {
    options.onError?.("A new certificate can't be used, the old one stays", error);
  };
  server.once("close", watchCertificate(tls, renew, failed));
  return server;
}

async function secureContext(tls: CertificateFiles): Promise<SecureContextOptions> {
  try {
    const { clientAuthorities: path } = tls;
    const ca = path === undefined ? {} : { ca: await readAuthorities(path) };
    return { ...(await readCertificate(tls)), ...ca, minVersion: "TLSv1.2" };
  } catch (error) {
    throw new ListenError(messageOf(error), { cause: error });
  }
}

async function bind(
  server: Server,
  { host, port, exclusive = false, optionsAre = registryOptions }: ListenOptions,
): Promise<void> {
  const path = socketPath(host);
  try {
    server.listen(path === undefined ? { host, port, exclusive } : { path });
    await once(server, "listening");
    // A front end runs as another user. Who may reach the socket is up to the folder it lies in.
    if (path !== undefined) await chmod(path, 0o666);
  } catch (error) {
    server.close();
    throw new ListenError(explain(error, { host, port }, optionsAre), { cause: error });
  }
}

function explain(error: unknown, { host, port }: Pick<ListenOptions, "host" | "port">, options: OptionNames): string {
  const where = socketPath(host) ?? `port ${port} of ${host}`;
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return socketPath(host) === undefined
        ? `Another program listens on ${where}: stop it, or choose another port with ${options.port}`
        : `Another program listens on ${where}: stop it, or choose another path with ${options.host}`;
    case "EACCES":
      return socketPath(host) === undefined
        ? `This user may not listen on ${where}: choose a port from 1024 up with ${options.port}`
        : `This user may not create ${where}: choose another path with ${options.host}`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `${host} is no address of this machine: choose one with ${options.host} (0.0.0.0 is all)`;
    default:
      return `Can't listen on ${where}: ${messageOf(error)}`;
  }
}

function running(server: Server, connections: Connections, { host, tls }: ListenOptions): RunningServer {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  let cutCount = 0;
  let closed: Promise<unknown> | undefined;
  const cut = (): void => {
    cutCount += connections.cut();
  };
  return {
    url: port === undefined ? host : `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    port,
    async close(deadline) {
      closed ??= drained(server, connections, deadline, cut);
      await closed;
      return cutCount;
    },
    cut,
  };
}

async function drained(server: Server, connections: Connections, deadline: number, cut: () => void): Promise<void> {
  const closed = once(server, "close");
  server.close();
  connections.drain();
  const timer = setTimeout(cut, milliseconds(deadline));
  await closed;
  clearTimeout(timer);
}

function socketPath(host: string): string | undefined {
  return host.startsWith("unix:") ? host.slice("unix:".length) : undefined;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
