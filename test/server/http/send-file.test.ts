import { randomBytes } from "node:crypto";
import { readdir, readlink, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect } from "chai";
import type { Context } from "koa";
import { ClientGone } from "../../../src/server/http/hang-up.ts";
import { sendObject, type Sendable } from "../../../src/server/http/send.ts";
import { koaServer, type KoaServer } from "../../support/koa-server.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { RawConnection } from "../../support/raw-connection.ts";

const mebibyte = 1024 * 1024;

describe("sendObject of a file", function () {
  this.timeout(180_000);
  let folder: string;
  let server: KoaServer;
  let outcomes: unknown[];
  let idleTimeout: number;
  const contents = new Map<string, Buffer>();

  before(async () => {
    folder = await temporaryFolder();
    for (const size of [0, 1, 65_535, 65_536, 65_537, 5 * mebibyte + 3, 20 * mebibyte]) {
      contents.set(String(size), randomBytes(size));
    }
    for (let at = 0; at < 20; at++) contents.set(`large-${at}`, randomBytes(4 * mebibyte + at));
    for (const [name, bytes] of contents) await writeFile(join(folder, name), bytes);
  });
  after(async () => {
    await removeFolder(folder);
  });
  beforeEach(async () => {
    outcomes = [];
    idleTimeout = 0;
    server = await koaServer(async (ctx: Context) => {
      const name = ctx.path.slice(1);
      const object: Sendable = {
        size: contents.get(name)?.length ?? 0,
        localPath: join(folder, name),
        open: async () => await Promise.resolve(Readable.from([Buffer.from(`${name} as a stream`)])),
        idleTimeout,
      };
      await sendObject(ctx, object).then(
        () => outcomes.push("sent"),
        (error: unknown) => {
          outcomes.push(error);
          throw error;
        },
      );
    });
  });
  afterEach(async () => {
    server.cut();
    await server.close(0);
  });

  const get = async (name: string, range?: string): Promise<Buffer> =>
    Buffer.from(
      await (await fetch(`${server.url}/${name}`, range === undefined ? {} : { headers: { range } })).arrayBuffer(),
    );

  /** How many files of the folder this process has open. */
  async function openFiles(): Promise<number> {
    const descriptors = await readdir("/proc/self/fd");
    const targets = await Promise.all(
      descriptors.map(async (fd) => await readlink(`/proc/self/fd/${fd}`).catch(() => "")),
    );
    return targets.filter((target) => target.startsWith(folder)).length;
  }

  it("sends files of any size whole, and any part of them", async () => {
    for (const [name, bytes] of contents) expect((await get(name)).equals(bytes), name).to.equal(true);
    const [name, bytes] = ["20971520", contents.get("20971520")!];
    for (const [start, end] of [
      [0, 1],
      [65_535, 65_537],
      [1_000_000, 9_000_000],
      [20_971_519, 20_971_520],
    ] as const) {
      // prettier-ignore
      const part = await get(name, `bytes=${start}-${end - 1}`);
      expect(part.equals(bytes.subarray(start, end)), `${start}-${end}`).to.equal(true);
    }
    await until("all to be closed", async () => (await openFiles()) === 0);
  });

  it("mixes nothing up when many files are sent at once, at any pace", async () => {
    const slow = await RawConnection.open(server.port);
    slow.socket.pause();
    slow.send("GET /20971520 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        [...contents].map(async ([name, bytes]) => {
          expect((await get(name)).equals(bytes), name).to.equal(true);
        }),
      );
    }
    slow.socket.resume();
    const received = Buffer.from(await slow.rest(), "latin1");
    expect(received.subarray(received.indexOf("\r\n\r\n") + 4).equals(contents.get("20971520")!)).to.equal(true);
  });

  it("keeps the connection for the next request", async () => {
    const connection = await RawConnection.open(server.port);
    for (const count of [1, 2, 3]) {
      connection.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
      await until("the answer", () => outcomes.length === count);
    }
    connection.close();
    expect(outcomes).to.deep.equal(["sent", "sent", "sent"]);
  });

  it("takes the stream when there is no such file", async () => {
    contents.set("gone", Buffer.from("gone as a stream"));
    expect((await get("gone")).toString()).to.equal("gone as a stream");
    contents.delete("gone");
  });

  it("cuts the connection when the file is shorter than it was", async () => {
    await writeFile(join(folder, "short"), randomBytes(3 * mebibyte));
    contents.set("short", randomBytes(8 * mebibyte));
    await truncate(join(folder, "short"), 2 * mebibyte);
    const connection = await RawConnection.open(server.port, "GET /short HTTP/1.1\r\nHost: x\r\n\r\n");
    expect((await connection.rest()).length).to.be.below(8 * mebibyte);
    expect(server.faults.map(({ message }) => message)).to.deep.equal([`The file ended after ${2 * mebibyte} bytes`]);
    contents.delete("short");
    await unlink(join(folder, "short"));
    await until("it to be closed", async () => (await openFiles()) === 0);
  });

  it("closes the file when the client leaves, and calls nobody", async () => {
    const connection = await RawConnection.open(server.port);
    connection.socket.pause();
    connection.send("GET /20971520 HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("the file to be open", async () => (await openFiles()) === 1);
    connection.socket.resetAndDestroy();
    await until("an outcome", () => outcomes.length > 0);
    expect(outcomes[0]).to.be.instanceOf(ClientGone);
    expect(server.faults).to.deep.equal([]);
    await until("it to be closed", async () => (await openFiles()) === 0);
  });

  it("cuts off a client that takes nothing for too long", async () => {
    idleTimeout = 0.05;
    const connection = await RawConnection.open(server.port);
    connection.socket.pause();
    connection.send("GET /20971520 HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("an outcome", () => outcomes.length > 0);
    expect(outcomes[0]).to.be.instanceOf(ClientGone);
    connection.close();
    await until("it to be closed", async () => (await openFiles()) === 0);
  });
});
