import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { expect } from "chai";
import { giveBack, isLending } from "../../../src/drivers/storage/lent-chunks.ts";
import { longBody, readingAgent } from "../../../src/drivers/storage/long-body.ts";
import { until } from "../../support/program.ts";
import { randomFrom, seededRandom, type Random } from "../../support/random.ts";

const mebibyte = 1_048_576;

describe("longBody", function () {
  this.timeout(180_000);
  let server: Server;
  let agent: Agent;
  let sockets: Socket[];
  /** What the server answers to a request, on its socket. */
  let answer: (socket: Socket) => Promise<void>;

  beforeEach(async () => {
    sockets = [];
    agent = readingAgent({ keepAlive: true });
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined);
      socket.on("data", () => void answer(socket));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });

  afterEach(() => {
    agent.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  const ask = async (): Promise<IncomingMessage> => {
    const request = get({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, agent });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.on("error", () => undefined);
    return response;
  };

  const write = async (socket: Socket, bytes: Uint8Array | string): Promise<void> => {
    await new Promise((resolve) => socket.write(bytes, resolve));
  };

  const head = (length: number): string => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;

  /** Answers with `content`, split anywhere, the head too. */
  const inPieces =
    (content: Buffer, random: Random, claimed = content.length) =>
    async (socket: Socket) => {
      const all = Buffer.concat([Buffer.from(head(claimed)), content]);
      for (let at = 0; at < all.length;) {
        const next = at + 1 + random(random(4) === 0 ? 400_000 : 3_000);
        await write(socket, all.subarray(at, next));
        at = next;
        if (random(3) === 0) await setImmediate();
      }
    };

  it("yields every byte in order, however the answer is split and whoever keeps or gives back what they read", async function () {
    const random = seededRandom(this);
    for (let round = 0; round < 12; round++) {
      const content = numbered(mebibyte + 4 * random(mebibyte / 2));
      answer = inPieces(content, random);
      const readers = Array.from({ length: 1 + random(4) }, async (_, index) => {
        const body = longBody(await ask());
        expect(isLending(body)).to.be.true;
        const chunks: Buffer[] = [];
        for await (const chunk of body as AsyncIterable<Buffer>) {
          chunks.push(index % 2 === 0 ? Buffer.from(chunk) : chunk);
          if (index % 2 === 0) giveBack(chunk);
          if (random(5) === 0) await setImmediate();
        }
        return Buffer.concat(chunks);
      });
      for (const read of await Promise.all(readers)) expect(read.equals(content), `round ${round}`).to.be.true;
    }
  });

  it("passes 40 bodies at the same time, those beyond the large ones too", async () => {
    const random = randomFrom(1);
    const content = numbered(2 * mebibyte);
    answer = inPieces(content, random);
    const bodies = await Promise.all(Array.from({ length: 40 }, async () => longBody(await ask())));
    for (const read of await Promise.all(bodies.map(allOf))) expect(read.equals(content)).to.be.true;
  });

  it("closes the connection behind it, and keeps those of short answers and of chunked ones", async () => {
    const ports = new Set<number | undefined>();
    const long = Buffer.alloc(mebibyte, "long");
    const answers = [
      head(5) + "short",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nchunks\r\n0\r\n\r\n",
      head(long.length) + String(long),
      head(5) + "again",
    ];
    for (const [at, text] of answers.entries()) {
      answer = async (socket) => {
        ports.add(socket.remotePort);
        await write(socket, text);
      };
      const response = await ask();
      const body = longBody(response);
      expect(body === response, String(at)).to.equal(at !== 2);
      expect((await allOf(body)).length).to.equal([5, 6, mebibyte, 5][at]);
      if (at === 2) await until("the close", () => sockets[0]?.destroyed);
      await setImmediate();
    }
    expect(ports.size).to.equal(2);
  });

  it("leaves what another agent reads, and what was read already", async () => {
    answer = async (socket) => {
      await write(socket, head(mebibyte) + "x".repeat(mebibyte));
    };
    const response = await ask();
    await allOf(response);
    expect(longBody(response)).to.equal(response);
    agent = new Agent();
    const other = await ask();
    expect(longBody(other)).to.equal(other);
    expect((await allOf(other)).length).to.equal(mebibyte);
  });

  it("fails when the connection ends before the body does", async () => {
    for (const reset of [false, true]) {
      answer = async (socket) => {
        await write(socket, head(3 * mebibyte) + "x".repeat(2 * mebibyte));
        if (reset) socket.resetAndDestroy();
        else socket.end();
      };
      const error = await allOf(longBody(await ask())).then(String, String);
      expect(error).to.match(/aborted|ECONNRESET|closed/);
    }
  });

  it("yields no more than was announced", async () => {
    answer = async (socket) => {
      await write(socket, head(mebibyte) + "x".repeat(mebibyte) + "y".repeat(1000));
    };
    const read = await allOf(longBody(await ask()));
    expect(read.equals(Buffer.alloc(mebibyte, "x"))).to.be.true;
  });

  it("reads no further than a reader wants, and goes on from there", async () => {
    const length = 64 * mebibyte;
    let sent = 0;
    answer = async (socket) => {
      await write(socket, head(length));
      const piece = Buffer.alloc(65_536, "p");
      for (; sent < length && !socket.destroyed; sent += piece.length) await write(socket, piece);
    };
    const body = longBody(await ask());
    await once(body, "readable");
    const chunk = body.read() as Buffer;
    let before = -1;
    let still = 0;
    await until("the server to wait", () => {
      still = before === sent ? still + 1 : 0;
      before = sent;
      return still === 20;
    });
    // What the system keeps on both sides of the connection.
    expect(sent).to.be.lessThan(32 * mebibyte);
    expect(body.readableLength).to.be.at.most(524_288);
    expect(chunk.length + (await allOf(body)).length).to.equal(length);
  });

  it("closes the connection of who leaves, and counts nobody who has left as reading", async () => {
    answer = async (socket) => {
      await write(socket, head(8 * mebibyte) + "x".repeat(mebibyte));
    };
    for (let round = 0; round < 50; round++) {
      const body = longBody(await ask());
      const closed = once(body, "close");
      body.on("error", () => undefined);
      if (round % 2 === 0) await once(body, "readable");
      body.destroy();
      await closed;
    }
    await until("no connection", () => sockets.every(({ destroyed }) => destroyed));
    answer = async (socket) => {
      await write(socket, head(8 * mebibyte) + "x".repeat(8 * mebibyte));
    };
    let longest = 0;
    const body = longBody(await ask());
    for await (const chunk of body as AsyncIterable<Buffer>) longest = Math.max(longest, chunk.length);
    expect(longest, "it has a large buffer").to.be.greaterThan(65_536);
  });
});

async function allOf(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** So many bytes, a multiple of four, that are the same nowhere. */
function numbered(length: number): Buffer {
  const numbers = Uint32Array.from({ length: length / 4 }, (_, index) => index);
  return Buffer.from(numbers.buffer);
}
