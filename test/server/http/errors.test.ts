import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expect } from "chai";
import type { Context, Middleware } from "koa";
import { RegistryError } from "../../../src/server/errors.ts";
import { failureOf } from "../../../src/server/http/errors.ts";
import { koaServer, type KoaServer } from "../../support/koa-server.ts";
import { until } from "../../support/program.ts";
import { RawConnection } from "../../support/raw-connection.ts";

describe("errorHandling", () => {
  let server: KoaServer;
  let act: (ctx: Context) => unknown;
  let failure: Error | undefined;

  const outer: Middleware = async (ctx, next) => {
    ctx.set({ "X-Version": "1", "Content-Type": "outer/type" });
    await next();
    failure = failureOf(ctx.req);
  };

  beforeEach(async () => {
    failure = undefined;
    server = await koaServer((ctx) => act(ctx), { outer: [outer] });
  });

  afterEach(async () => {
    server.cut();
    await server.close(0);
  });

  it("tells a client's mistake as it is", async () => {
    act = () => {
      throw new RegistryError("TAG_UNKNOWN", { message: "Tag not found: v1" });
    };
    const answer = await fetch(server.url);
    expect(answer.status).to.equal(404);
    expect(answer.headers.get("content-type")).to.equal("application/json");
    expect(await answer.text()).to.equal('{"error":"Tag not found: v1","code":"TAG_UNKNOWN"}');
    expect(server.faults).to.deep.equal([]);
    expect(failure).to.be.instanceOf(RegistryError);
  });

  it("tells of a fault nothing but the request's id", async () => {
    act = () => {
      throw new Error("password is hunter2");
    };
    const answer = await fetch(server.url, { headers: { "x-request-id": "abc-1" } });
    expect(answer.status).to.equal(500);
    expect(await answer.json()).to.deep.equal({ error: "Internal error (request abc-1)", code: "INTERNAL" });
    expect(server.faults.map(({ message }) => message)).to.deep.equal(["password is hunter2"]);
  });

  it("treats a thrown value that is no error as a fault", async () => {
    const thrown: unknown = "text";
    act = () => {
      throw thrown;
    };
    expect((await fetch(server.url)).status).to.equal(500);
    expect(server.faults[0]?.message).to.include("text");
  });

  it("keeps headers from further out and challenges, drops those of the failed answer", async () => {
    act = (ctx) => {
      ctx.set({ "WWW-Authenticate": "Token", ETag: '"x"', "Content-Length": "1000", "Cache-Control": "public" });
      ctx.body = "half done";
      throw new RegistryError("UNAUTHORIZED");
    };
    const answer = await fetch(server.url);
    expect(answer.status).to.equal(401);
    expect(answer.headers.get("x-version")).to.equal("1");
    expect(answer.headers.get("www-authenticate")).to.equal("Token");
    expect(answer.headers.has("etag")).to.equal(false);
    expect(answer.headers.has("cache-control")).to.equal(false);
    expect(await answer.text()).to.include("UNAUTHORIZED");
  });

  it("answers HEAD with headers alone", async () => {
    act = () => {
      throw new RegistryError("NOT_FOUND");
    };
    const connection = await RawConnection.open(server.port, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(await connection.rest()).to.match(/^HTTP\/1\.1 404 [^]*\r\nContent-Length: 40\r\n[^]*\r\n\r\n$/);
  });

  it("cuts an answer that had begun, also a chunked one", async () => {
    act = async (ctx) => {
      ctx.respond = false;
      await new Promise((resolve) => ctx.res.write("half", resolve));
      throw new Error("too late");
    };
    const connection = await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const answer = await connection.rest();
    expect(answer).to.include("half").and.not.to.include("0\r\n\r\n");
    expect(server.faults).to.have.length(1);
  });

  it("calls nobody when the client hung up", async () => {
    let reached = false;
    act = async (ctx) => {
      reached = true;
      await pipeline(ctx.req, new PassThrough().resume());
    };
    const connection = await RawConnection.open(
      server.port,
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
    );
    await until("the request", () => reached);
    connection.socket.resetAndDestroy();
    await until("the failure", () => failure);
    expect(server.faults).to.deep.equal([]);
  });

  it("reports a backend's broken connection while the client is still there", async () => {
    act = () => {
      throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
    };
    expect((await fetch(server.url)).status).to.equal(500);
    expect(server.faults).to.have.length(1);
  });

  describe("a request whose body was not read", () => {
    beforeEach(() => {
      act = () => {
        throw new RegistryError("IMAGE_EXISTS");
      };
    });

    it("is answered and its connection kept when the rest is short", async () => {
      const put = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
      const connection = await RawConnection.open(server.port, put + put);
      await until("two answers", () => connection.received.split("IMAGE_EXISTS").length === 3);
      expect(connection.received).not.to.include("Connection: close");
      connection.close();
    });

    for (const [what, header, chunk] of [
      ["long", `Content-Length: ${8 * 1024 * 1024}`, Buffer.alloc(1024 * 1024, "x")],
      [
        "chunked",
        "Transfer-Encoding: chunked",
        Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(1024 * 1024, "x"), Buffer.from("\r\n")]),
      ],
    ] as const) {
      it(`is answered before a ${what} body is sent, and not reset while it is`, async () => {
        const connection = await RawConnection.open(server.port, `PUT / HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`);
        expect(await connection.until("IMAGE_EXISTS")).to.match(/^HTTP\/1\.1 409 [^]*Connection: close/);
        for (let count = 0; count < 8; count += 1) connection.send(chunk);
        if (what === "chunked") connection.send("0\r\n\r\n");
        expect(await connection.ended).to.equal("end");
      });
    }

    it("is answered to a client that sends all before it reads", async () => {
      const answer = await fetch(server.url, { method: "PUT", body: Buffer.alloc(8 * 1024 * 1024) });
      expect(answer.status).to.equal(409);
      expect(await answer.text()).to.include("IMAGE_EXISTS");
    });
  });
});
