import { expect } from "chai";
import { openElliptics } from "../../../../src/drivers/storage/elliptics.ts";
import { failure } from "../../../support/bucket-failures.ts";
import { keyId } from "../../../support/elliptics/ids.ts";
import { RawElliptics } from "../../../support/elliptics/raw-client.ts";
import { ellipticsSettings, quickTuning } from "../../../support/elliptics/settings.ts";
import { ellipticsStage, settled } from "../../../support/elliptics/stage.ts";
import { until } from "../../../support/program.ts";
import {
  bufferBytes,
  bytesOf,
  exists,
  hashOf,
  keysOf,
  outcome,
  put,
  repeated,
  textOf,
} from "../../../support/storage-content.ts";

const mebibyte = 1_048_576;
const block = Buffer.alloc(65_536, "failures ");

describe("elliptics when one of three nodes of a ring is away", () => {
  const stage = ellipticsStage({ layout: "ring" });
  const keys = Array.from({ length: 30 }, (_, index) => `ring/${index}`);

  before(async () => {
    for (const key of keys) await put(stage.driver, key, key);
  });

  it("says of nothing that it is missing, and has everything once the node is back", async () => {
    const { cluster, driver } = stage;
    for (const node of cluster.nodes) {
      await node.stop();
      const results = await Promise.all(keys.map((key) => outcome(driver.stat(key))));
      expect(new Set(results)).to.deep.equal(new Set(["done", "UNAVAILABLE"]));
      expect(await outcome(keysOf(driver, "ring"))).to.equal("UNAVAILABLE");
      await node.start();
      await settled(stage);
      for (const key of keys) expect(await textOf(driver, key)).to.equal(key);
    }
    expect(await keysOf(driver, "ring")).to.deep.equal([...keys].sort());
  });

  it("takes what a server says of its backends unasked", async () => {
    const { cluster, driver } = stage;
    const [node] = cluster.nodes;
    const [backend] = node!.backends;
    await node!.setEnabled(backend!, false);
    /** How many of the keys are missing, and how many requests this node got for them. */
    const asked = async (): Promise<readonly [number, number]> => {
      const received = (cluster.received = []) as NonNullable<typeof cluster.received>;
      const results = await Promise.all(keys.map((key) => outcome(driver.stat(key))));
      expect(results).to.not.include("UNAVAILABLE");
      const missing = results.filter((result) => result === "NOT_FOUND").length;
      return [missing, received.filter(({ port }) => port === node!.port).length];
    };
    // Its objects are not there now: other backends have its part of the ring, and are asked themselves.
    await until("it is not asked any more", async () => (await asked())[1] === 0);
    expect((await asked())[0]).to.be.greaterThan(0);
    await node!.setEnabled(backend!, true);
    await until("it is asked again", async () => (await asked())[1] > 0);
    expect((await asked())[0]).to.equal(0);
    cluster.received = undefined;
  });

  it("tells of a backend that takes no writes", async () => {
    const { cluster, driver } = stage;
    for (const backend of cluster.backends) backend.isReadOnly = true;
    expect(await outcome(put(driver, "ring/refused", "x"))).to.equal("REFUSED");
    for (const backend of cluster.backends) backend.isReadOnly = false;
    await put(driver, "ring/taken", "x");
    await driver.delete("ring/taken");
  });
});

describe("elliptics with three groups", () => {
  const stage = ellipticsStage({ layout: "three" });

  it("works with two of them, and reads nothing old of the third when it is back", async () => {
    const { cluster, driver } = stage;
    await put(driver, "quorum/changed", "before");
    const [, , third] = cluster.nodes;
    await third!.stop();
    await put(driver, "quorum/changed", "after");
    await put(driver, "quorum/new", "new");
    await driver.write("quorum/large", repeated(block, 3 * mebibyte), 3 * mebibyte);
    await driver.move("quorum/new", "quorum/moved");
    expect(await keysOf(driver, "quorum")).to.deep.equal(["quorum/changed", "quorum/large", "quorum/moved"]);
    await third!.start();
    await settled(stage);
    for (let round = 0; round < 10; round++) expect(await textOf(driver, "quorum/changed")).to.equal("after");
    expect(await hashOf(await driver.read("quorum/large"))).to.equal(await hashOf(repeated(block, 3 * mebibyte)));
    expect(await keysOf(driver, "quorum")).to.deep.equal(["quorum/changed", "quorum/large", "quorum/moved"]);
  });

  it("reads from another group when one fails in the middle", async () => {
    const { cluster, driver } = stage;
    await driver.write("quorum/read", repeated(block, 5 * mebibyte), 5 * mebibyte);
    const whole = await hashOf(repeated(block, 5 * mebibyte));
    for (const skip of [0, 1, 2]) {
      cluster.faults.cut(100_000, { command: "READ", skip, times: 1 });
      expect(await hashOf(await driver.read("quorum/read")), `cut after ${skip}`).to.equal(whole);
      await settled(stage);
      cluster.faults.fail(-84, { command: "READ", skip, times: 1 });
      expect(await hashOf(await driver.read("quorum/read")), `-84 after ${skip}`).to.equal(whole);
    }
  });

  it("says which groups did not do what most have to do", async () => {
    const { cluster, driver } = stage;
    for (const node of cluster.nodes.slice(1)) await node.stop();
    const { code, message } = await failure(put(driver, "quorum/failed", "x"));
    expect(code).to.equal("UNAVAILABLE");
    expect(message)
      .to.match(/group 2\b/)
      .and.match(/group 3\b/)
      .and.match(/127\.0\.0\.1:\d+/);
  });
});

describe("elliptics with two groups", () => {
  const stage = ellipticsStage({ layout: "two" });

  it("reads what the other has while one is away, but writes nothing, and says which one is missing", async () => {
    const { cluster, driver } = stage;
    await put(driver, "two/there", "content");
    await cluster.nodes[1]!.stop();
    expect(await textOf(driver, "two/there")).to.equal("content");
    const { code, message } = await failure(put(driver, "two/new", "x"));
    expect([code, /group 2\b/.test(message), /group 1\b/.test(message)]).to.deep.equal(["UNAVAILABLE", true, false]);
    await cluster.nodes[1]!.start();
    await settled(stage);
    await put(driver, "two/new", "x");
    expect(await keysOf(driver, "two")).to.deep.equal(["two/new", "two/there"]);
  });

  it("never takes a group that knows nothing for all that is known", async () => {
    const { cluster, driver } = stage;
    await put(driver, "two/alone", "content");
    const raw = await RawElliptics.connect(cluster.nodes[0]!.port);
    await raw.io("DEL", keyId("two/alone"));
    raw.close();
    expect(await textOf(driver, "two/alone")).to.equal("content");
    await cluster.nodes[1]!.stop();
    expect(await outcome(driver.stat("two/alone"))).to.be.oneOf(["UNAVAILABLE", "NOT_FOUND"]);
  });
});

describe("elliptics when a server misbehaves", function () {
  this.timeout(180_000);
  const stage = ellipticsStage({ layout: "one" });

  it("matches answers that come in another order, each behind every byte in a packet of its own", async () => {
    const { cluster, driver } = stage;
    const keys = Array.from({ length: 8 }, (_, index) => `order/${index}`);
    cluster.faults.split = "everywhere";
    await Promise.all(keys.map((key) => put(driver, key, `content of ${key}`)));
    const releases = keys.slice(0, 4).map(() => cluster.faults.hold({ command: "READ", times: 1 }));
    const reads = keys.map((key) => textOf(driver, key));
    let answered = 0;
    for (const read of reads) void read.then(() => (answered += 1));
    await until("those that are not held are answered", () => answered === 4);
    for (const release of releases.reverse()) release();
    expect(await Promise.all(reads)).to.deep.equal(keys.map((key) => `content of ${key}`));
    expect(await keysOf(driver, "order")).to.deep.equal(keys);
  });

  it("fails as a whole when any request of a write fails, and leaves what can be written again", async () => {
    const { cluster, driver } = stage;
    const content = (text: string): Promise<void> => put(driver, "nth/a/b", text);
    await content("old");
    for (let skip = 0; ; skip++) {
      cluster.faults.fail(-5, { skip, times: 1 });
      const result = await outcome(content(`new ${skip}`));
      cluster.faults.calm();
      expect(await textOf(driver, "nth/a/b")).to.be.oneOf(["old", `new ${skip - 1}`, `new ${skip}`]);
      if (result === "done") break;
      expect(result).to.equal("UNAVAILABLE");
      expect(skip).to.be.below(40);
    }
    expect(await keysOf(driver, "nth")).to.deep.equal(["nth/a/b"]);
  });

  it("goes on when connections are cut in the middle of answers, wherever that is", async () => {
    const { cluster, driver } = stage;
    await driver.write("cut/large", repeated(block, 4 * mebibyte), 4 * mebibyte);
    for (const bytes of [0, 1, 119, 120, 121, 200, 328, 329, 70_000]) {
      for (const command of ["LOOKUP", "READ"] as const) {
        cluster.faults.cut(bytes, { command, times: 1 });
        expect(await outcome(driver.stat("cut/large"))).to.be.oneOf(["done", "UNAVAILABLE"]);
        expect(await outcome(bytesOf(driver, "cut/large"))).to.be.oneOf(["done", "UNAVAILABLE"]);
        cluster.faults.calm();
        await settled(stage);
      }
    }
    expect(await hashOf(await driver.read("cut/large"))).to.equal(await hashOf(repeated(block, 4 * mebibyte)));
  });

  it("gives up on a server that says nothing, and works when it speaks again", async () => {
    const { cluster, driver } = stage;
    const impatient = await openElliptics(ellipticsSettings(cluster), { ...quickTuning, patience: 300 });
    await put(driver, "silent/a", "x");
    cluster.faults.silence();
    expect((await failure(impatient.stat("silent/a"))).message).to.match(/no answer/);
    expect(await outcome(impatient.write("silent/b", repeated(block, 3 * mebibyte)))).to.equal("UNAVAILABLE");
    expect(await outcome(impatient.ping())).to.equal("UNAVAILABLE");
    cluster.faults.calm();
    await until("it works again", async () => (await outcome(impatient.ping())) === "done");
    expect(await textOf(impatient, "silent/a")).to.equal("x");
    await impatient.close();
    expect(await exists(driver, "silent/b")).to.be.false;
  });

  it("waits for one that is slow", async () => {
    const { cluster, driver } = stage;
    cluster.faults.milliseconds = 40;
    await put(driver, "slow/key", "x");
    expect(await textOf(driver, "slow/key")).to.equal("x");
    await driver.delete("slow/key");
  });

  it("removes all below a prefix, tags and folders with it", async () => {
    const { cluster, driver } = stage;
    const before = cluster.backends[0]!.objects;
    for (const key of ["gone/a/b/c", "gone/a/d", "gone/e"]) await put(driver, key, key);
    await driver.write("gone/large", repeated(block, 3 * mebibyte));
    for (const key of await keysOf(driver, "gone")) await driver.delete(key);
    expect(await keysOf(driver, "gone")).to.deep.equal([]);
    expect(cluster.backends[0]!.objects).to.equal(before);
  });

  it("does nothing any more once it is closed", async () => {
    const { cluster } = stage;
    const own = await openElliptics(ellipticsSettings(cluster), quickTuning);
    cluster.faults.silence({ command: "LOOKUP" });
    const waiting = failure(own.stat("closed"));
    await until("it waits", () => cluster.faults.met > 0);
    await own.close();
    const accepted = cluster.nodes[0]!.accepted;
    for (const work of [waiting, failure(put(own, "closed", "x")), failure(keysOf(own, ""))]) {
      expect((await work).message).to.contain("the storage is closed");
    }
    expect(cluster.nodes[0]!.accepted).to.equal(accepted);
  });

  it("keeps no connection and no memory of a thousand failures", async () => {
    const { cluster, driver } = stage;
    await put(driver, "leak/a", "x");
    const accepted = cluster.nodes[0]!.accepted;
    const work: readonly (() => Promise<unknown>)[] = [
      async () => await driver.stat("leak/a"),
      async () => await bytesOf(driver, "leak/a"),
      async () => { await put(driver, "leak/b", "y"); },
      async () => await keysOf(driver, "leak"),
    ]; // prettier-ignore
    const sockets = process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
    const buffers = bufferBytes();
    let failed = 0;
    for (let round = 0; failed < 1_000; round++) {
      await settled(stage);
      if (round % 2 === 0) cluster.faults.cutAnywhere(200);
      else cluster.faults.fail(-5);
      const results = await Promise.all(Array.from({ length: 40 }, async (_, index) => await outcome(work[index % 4]!())));
      failed += results.filter((result) => result === "UNAVAILABLE").length;
      cluster.faults.calm();
    }
    await settled(stage);
    expect(await textOf(driver, "leak/a")).to.equal("x");
    expect(cluster.connections).to.equal(1);
    expect(process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length).to.equal(sockets);
    await until("the buffers are free", () => bufferBytes() - buffers < mebibyte);
    process.stderr.write(`      ${cluster.nodes[0]!.accepted - accepted} connections in ${failed} failures\n`);
  }); // prettier-ignore
});
