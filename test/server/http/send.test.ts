import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { expect } from "chai";
import type { Context } from "koa";
import { asLending, lend } from "../../../src/drivers/storage/lent-chunks.ts";
import { ClientGone } from "../../../src/server/http/hang-up.ts";
import type { ByteRange } from "../../../src/server/http/range.ts";
import { sendObject, type Sendable } from "../../../src/server/http/send.ts";
import { koaServer, type KoaServer } from "../../support/koa-server.ts";
import { until } from "../../support/program.ts";
import { RawConnection } from "../../support/raw-connection.ts";

const content = Buffer.from("0123456789");

describe("sendObject", () => {
  let server: KoaServer;
  let object: Sendable;
  let opened: (ByteRange | undefined)[];
  let sources: Readable[];
  let outcomes: unknown[];

  beforeEach(async () => {
    opened = [];
    sources = [];
    outcomes = [];
    object = from((range) => Readable.from([content.subarray(range?.start, range?.end)]), content.length);
    server = await koaServer(async (ctx: Context) => {
      try {
        await sendObject(ctx, object);
        outcomes.push("sent");
      } catch (error) {
        outcomes.push(error);
        throw error;
      }
    });
  });

  afterEach(async () => {
    server.cut();
    await server.close(0);
  });

  function from(open: (range?: ByteRange) => Readable, size: number, more: Partial<Sendable> = {}): Sendable {
    return {
      size,
      open: (range) => {
        opened.push(range);
        const source = open(range);
        sources.push(source);
        return Promise.resolve(source);
      },
      ...more,
    };
  }

  const rows = [
    { range: undefined, status: 200, body: "0123456789" },
    { range: "bytes=0-", status: 206, body: "0123456789", contentRange: "bytes 0-9/10" },
    { range: "bytes=3-5", status: 206, body: "345", contentRange: "bytes 3-5/10" },
    { range: "bytes=4-10", status: 206, body: "456789", contentRange: "bytes 4-9/10" },
    { range: "bytes=-1", status: 206, body: "9", contentRange: "bytes 9-9/10" },
    { range: "bytes=10-10", status: 416, body: "", contentRange: "bytes */10" },
    { range: "bytes=0-1,3-4", status: 200, body: "0123456789" },
  ];
  for (const { range, status, body, contentRange } of rows) {
    it(`answers GET with ${range ?? "no range"} with ${status} and "${body}"`, async () => {
      const answer = await fetch(server.url, range === undefined ? {} : { headers: { range } });
      expect(answer.status).to.equal(status);
      expect(await answer.text()).to.equal(body);
      expect(answer.headers.get("content-length")).to.equal(String(body.length));
      expect(answer.headers.get("content-range")).to.equal(contentRange ?? null);
      expect(answer.headers.get("accept-ranges")).to.equal("bytes");
      expect(answer.headers.get("content-type")).to.equal("application/octet-stream");
    });
  }

  it("answers HEAD with the headers of the whole, without opening the object", async () => {
    object = { ...object, headers: { "Content-Type": "text/plain", "X-Docker-Size": "10" } };
    const answer = await fetch(server.url, { method: "HEAD", headers: { range: "bytes=3-5" } });
    expect(answer.status).to.equal(200);
    expect(answer.headers.get("content-length")).to.equal("10");
    expect(answer.headers.get("content-type")).to.equal("text/plain");
    expect(answer.headers.get("x-docker-size")).to.equal("10");
    expect(opened).to.deep.equal([]);
  });

  it("answers an empty object with 200 and nothing", async () => {
    object = from(() => Readable.from([]), 0);
    const answer = await fetch(server.url);
    expect(answer.status).to.equal(200);
    expect(answer.headers.get("content-length")).to.equal("0");
    expect(await answer.text()).to.equal("");
  });

  it("sends the whole when If-Range names another version", async () => {
    object = { ...object, headers: { ETag: '"a"' } };
    const get = async (condition: string): Promise<number> => {
      const answer = await fetch(server.url, { headers: { range: "bytes=3-5", "if-range": condition } });
      await answer.text();
      return answer.status;
    };
    expect(await get('"b"')).to.equal(200);
    expect(await get('"a"')).to.equal(206);
  });

  it("keeps the connection for the next request", async () => {
    const connection = await RawConnection.open(server.port);
    for (const count of [1, 2, 3]) {
      connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await until("the answer", () => connection.received.split("0123456789").length === count + 1);
    }
    connection.close();
    expect(outcomes).to.deep.equal(["sent", "sent", "sent"]);
  });

  it("sends a large object that comes as one chunk, and lets others have their turn", async () => {
    const large = Buffer.alloc(32 * 1024 * 1024, "abcdefghijklmnop");
    object = from(() => Readable.from([large]), large.length);
    let turns = 0;
    let running = true;
    const count = (): void => {
      turns += 1;
      if (running) setImmediate(count);
    };
    count();
    const got = Buffer.from(await (await fetch(server.url)).arrayBuffer());
    running = false;
    expect(got.equals(large)).to.equal(true);
    expect(turns).to.be.greaterThan(31);
  });

  it("answers an error of opening as an error", async () => {
    object = { size: 10, open: () => Promise.reject(new Error("no such thing")) };
    const answer = await fetch(server.url);
    expect(answer.status).to.equal(500);
    expect(answer.headers.has("accept-ranges")).to.equal(false);
    expect(await answer.json()).to.have.property("code", "INTERNAL");
    expect(server.faults.map(({ message }) => message)).to.deep.equal(["no such thing"]);
  });

  it("answers a source that fails before its first byte with an error", async () => {
    object = from(() => new Readable({ read: (): never => { throw new Error("the disk is gone"); } }), 10); // prettier-ignore
    const answer = await fetch(server.url);
    expect(answer.status).to.equal(500);
    expect(answer.headers.has("accept-ranges")).to.equal(false);
    expect(await answer.json()).to.have.property("code", "INTERNAL");
    expect(server.faults.map(({ message }) => message)).to.deep.equal(["the disk is gone"]);
  });

  const broken = {
    "fails half-way": () =>
      Readable.from(
        (function* () {
          yield Buffer.from("0123");
          throw new Error("the disk is gone");
        })(),
      ),
    "ends early": () => Readable.from([Buffer.from("0123")]),
    "has more than it promised": () => Readable.from([Buffer.from("0123"), Buffer.from("0123456789")]),
  };
  for (const [what, open] of Object.entries(broken)) {
    it(`cuts the connection when the source ${what}`, async () => {
      object = from(open, 10);
      const connection = await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      const answer = await connection.rest();
      expect(answer.split("\r\n\r\n")[1] ?? "").to.have.length.lessThan(10);
      expect(server.faults).to.have.length(1);
      expect(sources.every(({ destroyed }) => destroyed)).to.equal(true);
    });
  }

  it("destroys the source when the client leaves, and calls nobody", async () => {
    object = from(() => Readable.from(endless()), 2 ** 40);
    const connection = await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await connection.until("200 OK");
    connection.socket.resetAndDestroy();
    await until("an outcome", () => outcomes.length > 0);
    expect(outcomes[0]).to.be.instanceOf(ClientGone);
    expect(sources[0]?.destroyed).to.equal(true);
    expect(server.faults).to.deep.equal([]);
  });

  it("destroys a source that yields nothing when the client leaves", async () => {
    object = from(() => new Readable({ read: () => undefined }), 10);
    const connection = await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("the source", () => sources.length > 0);
    connection.socket.resetAndDestroy();
    await until("an outcome", () => outcomes.length > 0);
    expect(sources[0]?.destroyed).to.equal(true);
    expect(server.faults).to.deep.equal([]);
  });

  it("cuts off a client that takes nothing for too long", async () => {
    object = from(() => Readable.from(endless()), 2 ** 40, { idleTimeout: 0.05 });
    const connection = await RawConnection.open(server.port);
    connection.socket.pause();
    connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("an outcome", () => outcomes.length > 0);
    expect(outcomes[0]).to.be.instanceOf(ClientGone);
    expect(sources[0]?.destroyed).to.equal(true);
    connection.close();
  });

  it("does not take a client that leaves with its last byte for one that left early", async () => {
    object = from(() => Readable.from(slowEnd()), content.length);
    for (let count = 0; count < 5; count += 1) {
      const connection = await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await connection.until("0123456789");
      connection.socket.resetAndDestroy();
      await until("an outcome", () => outcomes.length > count);
    }
    expect(new Set(outcomes)).to.deep.equal(new Set(["sent"]));
  });

  it("does not blame the client for a slow source", async () => {
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    object = from(() => Readable.from(slow(held)), 10, { idleTimeout: 0.02 });
    const connection = await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await connection.until("01234");
    setTimeout(go, 60);
    await connection.until("0123456789");
    connection.close();
  });

  it("gives back what was lent to it as soon as the client's socket has it, and no sooner", async () => {
    const [pieces, length] = [64, 524_288];
    const memories = new Set<ArrayBufferLike>();
    object = from(
      () => asLending(Readable.from(lent(pieces, length, memories), { objectMode: false })),
      pieces * length,
    );
    const request = get({ host: "127.0.0.1", port: server.port });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    let before = -1;
    let still = 0;
    await until("the server to wait for the client", () => {
      still = before === memories.size ? still + 1 : 0;
      before = memories.size;
      return still === 20;
    });
    // Others use what was given back.
    for (let others = 0; others < 32; others++) lend().fill(255);
    let position = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      for (const byte of chunk) {
        if (byte !== 1 + Math.floor(position++ / length)) throw new Error(`another byte at ${position - 1}`);
      }
    }
    expect(position).to.equal(pieces * length);
    expect(memories.size).to.be.lessThan(16);
  });
});

/** Fills each piece with its number, beginning with 1. */
async function* lent(pieces: number, length: number, memories: Set<ArrayBufferLike>): AsyncGenerator<Buffer> {
  for (let piece = 1; piece <= pieces; piece++) {
    const buffer = lend().subarray(0, length).fill(piece);
    memories.add(buffer.buffer);
    yield await Promise.resolve(buffer);
  }
}

function* endless(): Generator<Buffer> {
  const chunk = Buffer.alloc(256 * 1024);
  for (;;) yield chunk;
}

async function* slow(held: Promise<void>): AsyncGenerator<Buffer> {
  yield content.subarray(0, 5);
  await held;
  yield content.subarray(5);
}

/** Yields everything, and ends some turns later. */
async function* slowEnd(): AsyncGenerator<Buffer> {
  yield content;
  for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
}
