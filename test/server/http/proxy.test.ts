import type { IncomingHttpHeaders } from "node:http";
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { expect } from "chai";
import { clientBehind, type Arrival } from "../../../src/server/http/proxy.ts";

describe("clientBehind", () => {
  /** A request that came from `peer`, with TLS or without. */
  function request(peer: string | undefined, headers: IncomingHttpHeaders = {}, isTls = false): Arrival {
    const socket = isTls ? new TLSSocket(new Socket()) : new Socket();
    Object.defineProperty(socket, "remoteAddress", { value: peer });
    return { socket, headers };
  }

  const rows: readonly (readonly [string, readonly string[], string | undefined, string, string])[] = [
    ["no trusted proxy", [], "10.0.0.1", "192.0.2.7", "10.0.0.1"],
    ["a peer that is not trusted", ["10.0.0.2"], "10.0.0.1", "192.0.2.7", "10.0.0.1"],
    ["a trusted address", ["10.0.0.1"], "10.0.0.1", "192.0.2.7", "192.0.2.7"],
    ["a trusted network", ["10.0.0.0/8"], "10.9.9.9", "192.0.2.7", "192.0.2.7"],
    ["IPv4 on an IPv6 socket", ["10.0.0.0/8"], "::ffff:10.9.9.9", "192.0.2.7", "192.0.2.7"],
    ["a trusted IPv6 network", ["fd00::/8"], "fd12::1", "2001:db8::1", "2001:db8::1"],
    ["a zone", ["fe80::/10"], "fe80::1%eth0", "192.0.2.7", "192.0.2.7"],
    ["a forged start of the chain", ["10.0.0.0/8"], "10.0.0.1", "1.1.1.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"],
    ["a chain of none but trusted ones", ["10.0.0.0/8"], "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["ports in the chain", ["10.0.0.1"], "10.0.0.1", "192.0.2.7:4711", "192.0.2.7"],
    ["brackets in the chain", ["10.0.0.1"], "10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"],
    ["nonsense in the chain", ["10.0.0.0/8"], "10.0.0.1", "192.0.2.7, <script>", "10.0.0.1"],
    ["an empty chain", ["10.0.0.1"], "10.0.0.1", " , ", "10.0.0.1"],
    ["a Unix socket that is trusted", ["unix"], undefined, "192.0.2.7", "192.0.2.7"],
    ["a Unix socket that is not", ["127.0.0.1"], undefined, "192.0.2.7", "unix"],
  ];
  for (const [what, trusted, peer, chain, expected] of rows) {
    it(`finds the client with ${what}`, () => {
      expect(clientBehind(trusted)(request(peer, { "x-forwarded-for": chain })).address).to.equal(expected);
    });
  }

  it("takes X-Real-IP where there is no chain, from trusted peers alone", () => {
    const headers = { "x-real-ip": "192.0.2.7" };
    expect(clientBehind(["10.0.0.1"])(request("10.0.0.1", headers)).address).to.equal("192.0.2.7");
    expect(clientBehind([])(request("10.0.0.1", headers)).address).to.equal("10.0.0.1");
  });

  it("takes protocol and host from trusted peers alone", () => {
    const headers = { host: "inner:5000", "x-forwarded-proto": "HTTPS, http", "x-forwarded-host": "hub.example.com" };
    const trusting = clientBehind(["10.0.0.1"]);
    expect(trusting(request("10.0.0.1", headers))).to.include({ protocol: "https", host: "hub.example.com" });
    expect(trusting(request("10.0.0.2", headers))).to.include({ protocol: "http", host: "inner:5000" });
  });

  it("knows TLS of its own, and believes no other protocol", () => {
    const clientOf = clientBehind(["10.0.0.1"]);
    expect(clientOf(request("10.0.0.9", {}, true)).protocol).to.equal("https");
    expect(clientOf(request("10.0.0.1", { "x-forwarded-proto": "gopher" })).protocol).to.equal("http");
  });

  for (const [host, expected] of [
    ["hub.example.com:5000", "hub.example.com:5000"],
    ["[::1]:5000", "[::1]:5000"],
    ["my_host", "my_host"],
    ["", ""],
    ["a b", ""],
    ['x", "evil', ""],
    ["user@host", ""],
    ["host/path", ""],
    ["host:123456", ""],
  ] as const) {
    it(`takes ${JSON.stringify(host)} for the host ${JSON.stringify(expected)}`, () => {
      expect(clientBehind([])(request("10.0.0.1", { host })).host).to.equal(expected);
    });
  }
});
