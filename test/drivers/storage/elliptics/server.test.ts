import { expect } from "chai";
import { indexTableId, keyId, objectTableId, shardOf } from "../../../support/elliptics/ids.ts";
import { capturedExchanges, comparable } from "../../../support/elliptics/exchanges.ts";
import { startElliptics, type EllipticsCluster } from "../../../support/elliptics/index.ts";
import { RawElliptics, type Frame } from "../../../support/elliptics/raw-client.ts";
import { commands, flag, ioFlag, parseIo, status, tagRequestBytes } from "../../../support/elliptics/wire.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { until } from "../../../support/program.ts";

const exchanges = capturedExchanges();
const id = keyId("images/abc/json");

describe("the test server of Elliptics", () => {
  let cluster: EllipticsCluster;
  let client: RawElliptics;
  const atEnd = endOfSuite();

  before(async () => {
    cluster = await startElliptics({ layout: "one" });
    atEnd(() => cluster.close());
    client = await RawElliptics.connect(cluster.nodes[0]!.port);
  });

  /** The sizes that LOOKUP tells, or its status. */
  const sizeOf = async (key: Buffer): Promise<number> => {
    const [answer] = await client.send({ command: commands.LOOKUP, id: key, group: 1 });
    return answer?.header.status === 0 ? Number(answer.body.readBigUInt64LE(112)) : (answer?.header.status ?? 0);
  };
  const statusOf = async (work: Promise<Frame>): Promise<number> => (await work).header.status;

  it("answers what the real server answered, byte for byte", async () => {
    const own = await RawElliptics.open(cluster.nodes[0]!.port);
    const received: Buffer[] = [];
    own.socket.on("data", (chunk) => received.push(chunk));
    for (const [name, exchange] of Object.entries(exchanges)) {
      received.length = 0;
      await Promise.all(exchange.sent.map(async (frame) => await own.sendBytes(frame)));
      const frames = framesIn(Buffer.concat(received));
      expect(frames.map(comparable), name).to.deep.equal(exchange.answered.map(comparable));
    }
    own.close();
    cluster.check();
  }); // prettier-ignore

  it("leaves of an object what a WRITE says, and refuses an empty one", async () => {
    const key = keyId("written");
    await client.io("WRITE", key, {}, Buffer.from("0123456789"));
    await client.io("WRITE", key, { offset: 4 }, Buffer.from("abc"));
    expect(String((await client.io("READ", key)).body.subarray(208))).to.equal("0123abc");
    await client.io("WRITE", key, { offset: 9 }, Buffer.from("x"));
    expect(String((await client.io("READ", key)).body.subarray(208))).to.equal("0123abc\0\0x");
    expect(await statusOf(client.io("WRITE", keyId("empty"), {}))).to.equal(status.missing);
    expect(await statusOf(client.io("READ", key, { offset: 10 }))).to.equal(status.tooBig);
    const clipped = parseIo((await client.io("READ", key, { offset: 8, size: 100 })).body);
    expect(clipped).to.include({ offset: 8, size: 2, totalSize: 10 });
    expect(await statusOf(client.io("DEL", key))).to.equal(0);
    expect(await statusOf(client.io("DEL", key))).to.equal(status.missing);
    const past = { seconds: 1_500_000_000n, nanoseconds: 0n };
    await client.io("WRITE", key, {}, Buffer.from("new"));
    const older = client.io("WRITE", key, { flags: ioFlag.casTimestamp, time: past }, Buffer.from("old"));
    expect(await statusOf(older)).to.equal(status.mismatch);
    cluster.check();
  });

  it("shows nothing of a prepared object before it is committed, also of what was there before", async () => {
    const key = keyId("prepared");
    const { prepare, plain, commit } = ioFlag;
    expect(await statusOf(client.io("WRITE", key, { flags: plain }, Buffer.from("x")))).to.equal(status.missing);
    await client.io("WRITE", key, {}, Buffer.from("before"));
    const begun = await client.io("WRITE", key, { flags: prepare | plain, num: 10 }, Buffer.from("aaaa"));
    expect([Number(begun.body.readBigUInt64LE(112)), await sizeOf(key)]).to.deep.equal([0, status.missing]);
    const beyond = client.io("WRITE", key, { flags: plain, offset: 8 }, Buffer.from("bbbb"));
    expect(await statusOf(beyond)).to.equal(status.tooBig);
    await client.io("WRITE", key, { flags: plain, offset: 4, num: 8 }, Buffer.from("bbbb"));
    expect(await sizeOf(key)).to.equal(status.missing);
    await client.io("WRITE", key, { flags: commit | plain, offset: 8, num: 8 });
    expect(String((await client.io("READ", key)).body.subarray(208))).to.equal("aaaabbbb");
    cluster.check();
  });

  it("keeps contents in files as it keeps them in memory", async () => {
    const key = keyId("large");
    const block = Buffer.alloc(300_000, "large ");
    await client.io("WRITE", key, {}, Buffer.from("small"));
    for (const part of [block, Buffer.from("-"), block]) await client.io("WRITE", key, { flags: ioFlag.append }, part);
    const all = Buffer.concat([Buffer.from("small"), block, Buffer.from("-"), block]);
    expect((await client.io("READ", key)).body.subarray(208).equals(all)).to.be.true;
    await client.io("WRITE", key, { offset: 400_000 }, block);
    const changed = Buffer.concat([all.subarray(0, 400_000), block]);
    const part = await client.io("READ", key, { offset: 399_990, size: 20 });
    expect(part.body.subarray(208).equals(changed.subarray(399_990, 400_010))).to.be.true;
    expect(await sizeOf(key)).to.equal(changed.length);
    cluster.check();
  });

  it("drops clients of another version without a word", async () => {
    const other = RawElliptics.connect(cluster.nodes[0]!.port, [2, 25, 6, 0]);
    expect(await other.then(String, String)).to.contain("the connection ended");
    expect(() => {
      cluster.check();
    }).to.throw("the version 2.25");
  });

  it("says nothing of a success that nobody wants to hear of, and answers keys in any order", async () => {
    const key = keyId("quiet");
    await client.io("WRITE", key, {}, Buffer.from("x"), { flags: 0 });
    let isAnswered = false;
    void client.io("DEL", key, {}, undefined, { flags: 0 }).then(() => (isAnswered = true));
    expect(await sizeOf(key)).to.equal(status.missing);
    expect(isAnswered).to.be.false;
    cluster.violations.length = 0;
    const order: string[] = [];
    const release = cluster.faults.hold({ command: "WRITE", times: 1 });
    const first = client.io("WRITE", keyId("a"), {}, Buffer.from("x")).then(() => order.push("first"));
    await client.io("WRITE", keyId("b"), {}, Buffer.from("x"));
    order.push("second");
    release();
    await first;
    expect(order).to.deep.equal(["second", "first"]);
    cluster.faults.calm();
    cluster.check();
  });

  it("notes what no sound client sends, and dies of an inner group 0 as the real server does", async () => {
    const request = { id, group: 0, flags: 0, shard: 0, shards: 0, entries: [] };
    const update = client.send(
      { command: commands.INDEXES_UPDATE, id: objectTableId(id), group: 1 },
      tagRequestBytes(request),
    );
    expect(await update.then(String, String)).to.contain("the connection ended");
    expect(() => {
      cluster.check();
    }).to.throw("the server crashed");
    await cluster.nodes[0]!.start();
    client = await RawElliptics.connect(cluster.nodes[0]!.port);
    await client.io("WRITE", keyId("trusted"), { size: 7 }, Buffer.from("x"));
    await client.io("READ", keyId("trusted"), { parent: keyId("other") });
    await client.send({ command: 7, id, group: 1 });
    expect(cluster.violations).to.have.length(3);
    cluster.violations.length = 0;
  });
});

describe("the test server of Elliptics as a ring", () => {
  let cluster: EllipticsCluster;
  let client: RawElliptics;
  const atEnd = endOfSuite();
  const keys = Array.from({ length: 24 }, (_, index) => `ring/${index}`);

  before(async () => {
    cluster = await startElliptics({ layout: "ring", shards: 4 });
    atEnd(() => cluster.close());
    client = await RawElliptics.connect(cluster.nodes[0]!.port);
    for (const key of keys) await client.putContent(key, key);
  });

  it("executes each command where its id belongs, unless it is to be done here", async () => {
    expect(cluster.backends.every(({ objects }) => objects > 2)).to.be.true;
    const direct = { flags: flag.needAck | flag.direct };
    const answers = await Promise.all(keys.map((key) => client.io("READ", keyId(key), {}, undefined, direct)));
    expect(new Set(answers.map(({ header }) => header.status))).to.deep.equal(new Set([0, status.unsupported]));
    const [elsewhere] = await client.send({ command: commands.LOOKUP, id, group: 7 });
    expect(elsewhere?.header.status).to.equal(status.unsupported);
    cluster.check();
  });

  it("finds by tags in every shard, and nothing by tags in wrong shards", async () => {
    const found = async (tags: readonly string[]): Promise<number> => {
      let count = 0;
      for (let shard = 0; shard < 4; shard++) {
        const [answer] = await client.find(tags, shard);
        if (answer?.header.status === 0) count += answer.body.toString("latin1").split("ring/").length - 1;
      }
      return count / tags.length;
    };
    expect(await found(["docker", "ring"])).to.equal(keys.length);
    expect(await found(["docker", "missing"])).to.equal(0);
    // With a shard count of its own, a client speaks of tables that nobody looks at.
    const lost = keys.map((key) => `lost-${key}`).filter((key) => shardOf(keyId(key), 7) === 3);
    await client.tag(lost[0]!, ["docker", "lost"], 1, 7);
    expect(await found(["lost"])).to.equal(0);
    expect(() => {
      cluster.check();
    }).to.throw("a tag in 7 shards");
  });

  it("looks for the tables of several shards only where the first one lies", async () => {
    const tables = Array.from({ length: 4 }, (_, shard) => indexTableId(keyId("docker"), shard, 4));
    const bodies = tables.map(
      (table, shard) =>
      tagRequestBytes({
        id: table, group: 1, flags: shard === 3 ? 1 : 9, shard: 0, shards: 0,
        entries: [{ id: table, flags: 0, shard: 0, shards: 0, data: Buffer.alloc(0) }],
      }), // prettier-ignore
    );
    const [id = Buffer.alloc(64)] = tables;
    const frames = await client.send({ command: commands.INDEXES_FIND, id, group: 1 }, Buffer.concat(bodies));
    const some = frames.reduce((sum, { body }) => sum + body.toString("latin1").split("ring/").length - 1, 0);
    expect(some).to.be.within(1, keys.length - 1);
    expect(frames.at(-1)?.header.status).to.equal(0);
    cluster.check();
  });

  it("tells its clients when a backend leaves and when it is back, and keeps what a stopped node had", async () => {
    const [, , third] = cluster.nodes;
    const watcher = await RawElliptics.connect(third!.port);
    await third!.setEnabled(third!.backends[0]!, false);
    await until("the backend has left", () => watcher.unasked.length === 1);
    expect(watcher.unasked[0]?.body.toString("hex")).to.equal("0100000003000000000000000100000000000000");
    await third!.setEnabled(third!.backends[0]!, true);
    await until("the backend is back", () => watcher.unasked.length === 2);
    expect(watcher.unasked[1]?.body).to.have.length(20 + 3 * 64);
    watcher.close();
    await third!.stop();
    const listed = async (): Promise<number> => {
      const [answer] = await client.send({ command: commands.ROUTE_LIST, flags: 0x19 });
      return answer?.body.readUInt32LE(4) ?? 0;
    };
    expect(await listed()).to.equal(2);
    await third!.start();
    expect(await listed()).to.equal(3);
    for (const key of keys) expect(String((await client.io("READ", keyId(key))).body.subarray(208))).to.equal(key);
    cluster.check();
  });
});

/** The frames in what came over a connection, in the order of their transactions. */
function framesIn(bytes: Buffer): readonly Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 120 + Number(bytes.readBigUInt64LE(at + 112));
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  return frames
    .map((frame, position) => ({ frame, position }))
    .sort((a, b) => Number(a.frame.readBigUInt64LE(104) - b.frame.readBigUInt64LE(104)) || a.position - b.position)
    .map(({ frame }) => frame);
}
