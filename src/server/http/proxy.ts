import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP, type Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** Who really asks, and under which name they know this server. */
export interface Client {
  /** Without a port; `unix` for a client on a Unix socket that did not say. */
  readonly address: string;
  readonly protocol: "http" | "https";
  /** `host` or `host:port`; empty when the request names none (HTTP/1.0) or nonsense. */
  readonly host: string;
}

/** What there is to see of a request: its headers and the connection that it came on. */
export interface Arrival {
  readonly headers: IncomingHttpHeaders;
  readonly socket: Pick<Socket, "remoteAddress">;
}

/**
 * Tells the client of a request. `X-Forwarded-For`, `X-Real-IP`, `X-Forwarded-Proto` and `X-Forwarded-Host` are
 * believed only when the peer is one of the `trusted` addresses or networks (v4 or v6), or is connected through a
 * Unix socket and `trusted` has `unix`. Of a chain of proxies the client is the last one that is not trusted.
 */
export function clientBehind(trusted: readonly string[]): (request: Arrival) => Client {
  const isTrusted = matcher(trusted);
  const peers = new WeakMap<Arrival["socket"], Peer>();
  const peerOf = (socket: Arrival["socket"]): Peer => {
    const known = peers.get(socket);
    if (known) return known;
    const address = plain(socket.remoteAddress ?? "unix");
    const peer = { address, isTrusted: isTrusted(address) };
    peers.set(socket, peer);
    return peer;
  };
  return (request) => {
    const { address: peer, isTrusted: believed } = peerOf(request.socket);
    const own = request.socket instanceof TLSSocket ? "https" : "http";
    const host = request.headers.host ?? "";
    if (!believed) return { address: peer, protocol: own, host: saneHost(host) };
    const protocol = list(request, "x-forwarded-proto")[0]?.toLowerCase();
    return {
      address: origin(request, peer, isTrusted),
      protocol: protocol === "https" || protocol === "http" ? protocol : own,
      host: saneHost(list(request, "x-forwarded-host")[0] ?? "") || saneHost(host),
    };
  };
}

/** Who is at the other end of a connection; the same for all of its requests. */
interface Peer {
  readonly address: string;
  readonly isTrusted: boolean;
}

function matcher(trusted: readonly string[]): (address: string) => boolean {
  const networks = new BlockList();
  for (const network of trusted) {
    const [address = "", prefix] = network.split("/");
    if (isIP(address) === 0) continue;
    networks.addSubnet(address, Number(prefix ?? (isIP(address) === 4 ? 32 : 128)), family(address));
  }
  const unix = trusted.includes("unix");
  return (address) => (address === "unix" ? unix : networks.check(address, family(address)));
}

/** Walks the chain of proxies back from us, as long as the one who speaks is trusted and names an address. */
function origin(request: Arrival, peer: string, isTrusted: (address: string) => boolean): string {
  const chain = list(request, "x-forwarded-for");
  if (chain.length === 0) chain.push(...list(request, "x-real-ip"));
  let client = peer;
  while (isTrusted(client)) {
    const next = plain(chain.pop() ?? "");
    if (isIP(next) === 0) break;
    client = next;
  }
  return client;
}

function list(request: Arrival, header: string): string[] {
  const value = request.headers[header];
  return (typeof value === "string" ? value : "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/** An address without port, brackets, zone, or the form that IPv4 has on IPv6 sockets. */
function plain(address: string): string {
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(address)?.[1] ?? address.replace(/^([\d.]+):\d+$/, "$1");
  return bare.replace(/%.*$/, "").replace(/^::ffff:(?=[\d.]+$)/i, "");
}

function saneHost(host: string): string {
  return /^(?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i.test(host) ? host : "";
}

function family(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
