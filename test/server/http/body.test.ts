import { expect } from "chai";
import type { Context } from "koa";
import { bufferedBody, requestBody, type BodyLimits } from "../../../src/server/http/body.ts";
import { koaServer, type KoaServer } from "../../support/koa-server.ts";
import { until } from "../../support/program.ts";
import { RawConnection } from "../../support/raw-connection.ts";

describe("requestBody", () => {
  let server: KoaServer;
  let outcomes: string[];
  let limits: BodyLimits & { readonly limit: number };
  let read: (ctx: Context) => Promise<Uint8Array>;

  beforeEach(async () => {
    outcomes = [];
    limits = { limit: 100_000 };
    read = async (ctx) => await bufferedBody(ctx, limits);
    server = await koaServer(async (ctx) => {
      try {
        ctx.body = `got ${(await read(ctx)).length}`;
        outcomes.push("whole");
      } catch (error) {
        outcomes.push((error as { code?: string }).code ?? String(error));
        throw error;
      }
    });
  });

  afterEach(async () => {
    server.cut();
    await server.close(0);
    expect(server.faults).to.deep.equal([]);
  });

  it("yields a body with a length, a chunked one and none, on one connection", async () => {
    const connection = await RawConnection.open(server.port);
    connection.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    await connection.until("got 5");
    connection.send(
      "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
    );
    await connection.until("got 7");
    connection.send("PUT / HTTP/1.1\r\nHost: x\r\n\r\n");
    await connection.until("got 0");
    connection.close();
  });

  it("yields a large body byte for byte", async () => {
    const body = Buffer.alloc(5_000_000, "0123456789");
    limits = { limit: body.length };
    read = async (ctx) => {
      const got = await bufferedBody(ctx, limits);
      expect(got.equals(body)).to.equal(true);
      return got;
    };
    const answer = await fetch(server.url, { method: "PUT", body });
    expect(await answer.text()).to.equal("got 5000000");
  });

  it("lets other requests have their turn after a mebibyte of all bodies together", async () => {
    const clients = 8;
    let [bytesThisTurn, most] = [0, 0];
    let isCounting = true;
    const nextTurn = (): void => {
      bytesThisTurn = 0;
      if (isCounting) setImmediate(nextTurn);
    };
    nextTurn();
    read = async (ctx) => {
      for await (const chunk of requestBody(ctx)) most = Math.max(most, (bytesThisTurn += chunk.length));
      return Buffer.alloc(0);
    };
    const body = Buffer.alloc(16 * 1024 * 1024);
    const answers = Array.from({ length: clients }, async () => await fetch(server.url, { method: "PUT", body }));
    for (const answer of answers) expect(await (await answer).text()).to.equal("got 0");
    isCounting = false;
    // Each of them may be at a chunk when the turn is over, and once more when it begins.
    expect(most).to.be.lessThan(1024 * 1024 + 2 * clients * 65_536 + 1);
  });

  it("refuses an announced length over the limit before reading", async () => {
    limits = { limit: 10 };
    const connection = await RawConnection.open(server.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
    expect(await connection.until("BODY_TOO_LARGE")).to.match(/^HTTP\/1\.1 413 /);
    connection.close();
  });

  it("refuses a chunked body when the counted bytes pass the limit", async () => {
    limits = { limit: 4 };
    const connection = await RawConnection.open(
      server.port,
      "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n",
    );
    connection.send("0\r\n\r\n");
    expect(await connection.until("BODY_TOO_LARGE")).to.match(/^HTTP\/1\.1 413 /);
    connection.close();
  });

  for (const [what, headers, part] of [
    ["a body with a length", "Content-Length: 10", "hello"],
    ["a chunked body", "Transfer-Encoding: chunked", "5\r\nhello\r\n"],
  ] as const) {
    it(`calls ${what} incomplete when the client vanishes`, async () => {
      const connection = await RawConnection.open(
        server.port,
        `PUT / HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${part}`,
      );
      connection.socket.resetAndDestroy();
      await until("an outcome", () => outcomes.length > 0);
      expect(outcomes).to.deep.equal(["BODY_INCOMPLETE"]);
    });

    it(`calls ${what} incomplete when the client stops sending early, and says 400`, async () => {
      const connection = await RawConnection.open(
        server.port,
        `PUT / HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${part}`,
      );
      connection.socket.end();
      expect(await connection.rest()).to.match(/^HTTP\/1\.1 400 /);
      await until("an outcome", () => outcomes.length > 0);
      expect(outcomes).to.deep.equal(["BODY_INCOMPLETE"]);
    });
  }

  it("calls malformed chunks incomplete, and says 400", async () => {
    const connection = await RawConnection.open(
      server.port,
      "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n",
    );
    expect(await connection.rest()).to.match(/^HTTP\/1\.1 400 /);
    await until("an outcome", () => outcomes.length > 0);
    expect(outcomes).to.deep.equal(["BODY_INCOMPLETE"]);
  });

  it("gives up on a silent client with 408", async () => {
    limits = { limit: 10, idleTimeout: 0.05 };
    const connection = await RawConnection.open(
      server.port,
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhe",
    );
    expect(await connection.rest()).to.match(/^HTTP\/1\.1 408 [^]*Connection: close[^]*BODY_TIMEOUT/);
  });

  it("does not count the time that the consumer takes as silence", async () => {
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    read = async (ctx) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of requestBody(ctx, { idleTimeout: 0.02 })) {
        if (chunks.push(chunk) === 1) await held;
      }
      return Buffer.concat(chunks);
    };
    const connection = await RawConnection.open(
      server.port,
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nhe",
    );
    setTimeout(() => {
      connection.send("hi");
      go();
    }, 60);
    await connection.until("got 4");
    connection.close();
  });

  it("asks for the body with 100 Continue once it is read, and only once", async () => {
    const connection = await RawConnection.open(
      server.port,
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
    );
    await connection.until("HTTP/1.1 100 Continue\r\n\r\n");
    connection.send("hi");
    expect((await connection.until("got 2")).match(/100 Continue/g)).to.have.length(1);
    connection.close();
  });

  it("refuses a body that was announced with Expect without asking for it", async () => {
    limits = { limit: 1 };
    const connection = await RawConnection.open(
      server.port,
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\nExpect: 100-continue\r\n\r\n",
    );
    expect(await connection.rest()).to.match(/^HTTP\/1\.1 413 [^]*Connection: close[^]*BODY_TOO_LARGE/);
    expect(connection.received).not.to.include("100 Continue");
  });

  it("leaves the connection fit for an answer when the consumer stops early", async () => {
    read = async (ctx) => {
      for await (const chunk of requestBody(ctx)) return chunk;
      return Buffer.alloc(0);
    };
    const connection = await RawConnection.open(
      server.port,
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc",
    );
    await connection.until("got 3");
    connection.send("defPUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd");
    await connection.until("got 4");
    connection.close();
  });
});
