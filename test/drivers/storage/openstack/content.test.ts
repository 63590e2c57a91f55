import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { longBody } from "../../../../src/drivers/storage/long-body.ts";
import { Transport, type Answer } from "../../../../src/drivers/storage/openstack/transport.ts";
import { until } from "../../../support/program.ts";
import { rejection } from "../../../support/storage-content.ts";

const mebibyte = 1_048_576;
const idle = 400;

describe("content from OpenStack", () => {
  let server: Server;
  let sockets: Socket[];
  let transport: Transport;
  let answer: (socket: Socket) => void;

  beforeEach(async () => {
    sockets = [];
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined);
      socket.on("data", () => {
        answer(socket);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    transport = await Transport.open({ idle });
  });

  afterEach(async () => {
    await transport.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  const send = async (): Promise<Answer> => {
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/content`);
    return await transport.send({ method: "GET", url, isContent: true });
  };

  const head = (length: number): string => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;

  it("fails when no answer begins, and when the connection is cut before one does", async () => {
    answer = () => undefined;
    expect(String(await rejection(send()))).to.contain("no answer within 0.4 s");
    await until("the close", () => sockets.every(({ destroyed }) => destroyed));
    answer = (socket) => {
      socket.resetAndDestroy();
    };
    expect(await rejection(send())).to.have.property("code", "ECONNRESET");
  });

  for (const length of [mebibyte / 2, 8 * mebibyte]) {
    it(`fails when ${length} bytes stop coming, and closes the connection`, async () => {
      answer = (socket) => {
        socket.write(head(length) + "x".repeat(length / 2));
      };
      const error = await rejection(allOf(longBody((await send()).body)));
      expect(String(error)).to.contain("nothing came for 0.4 s");
      await until("the close", () => sockets.every(({ destroyed }) => destroyed));
    });

    it(`lets a reader of ${length} bytes take its time, and fails when none come afterwards`, async () => {
      answer = (socket) => {
        socket.write(head(length) + "x".repeat(length - 1));
      };
      const body = longBody((await send()).body);
      await once(body, "readable");
      await sleep(idle * 3);
      expect(body.destroyed).to.be.false;
      let read = 0;
      const error = await rejection(
        (async () => {
          for await (const chunk of body as AsyncIterable<Buffer>) read += chunk.length;
        })(),
      );
      expect(String(error)).to.contain("nothing came for 0.4 s");
      expect(read).to.equal(length - 1);
    });

    it(`has all its time to send more of ${length} bytes when their reader goes on`, async () => {
      const patient = 2_000;
      await transport.close();
      transport = await Transport.open({ idle: patient });
      answer = (socket) => {
        socket.write(head(length) + "x".repeat(length / 2));
      };
      const body = longBody((await send()).body);
      await once(body, "readable");
      await sleep(patient * 1.7);
      const reading = allOf(body);
      await sleep(patient * 0.4);
      sockets[0]?.write("x".repeat(length / 2));
      expect(await reading).to.have.length(length);
    });
  }

  it("sends one request after the other over a connection whose bodies are short", async () => {
    answer = (socket) => {
      socket.write(`${head(5)}short`);
    };
    for (let round = 0; round < 5; round++) expect((await allOf((await send()).body)).toString()).to.equal("short");
    expect(sockets.length).to.equal(1);
  });

  it("is cut when the transport is closed", async () => {
    answer = (socket) => {
      socket.write(head(8 * mebibyte) + "x");
    };
    const reading = rejection(allOf(longBody((await send()).body)));
    await transport.close();
    expect(await reading).to.be.an("error");
  });
});

async function allOf(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
