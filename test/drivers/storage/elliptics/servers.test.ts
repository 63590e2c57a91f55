import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { openElliptics } from "../../../../src/drivers/storage/elliptics.ts";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { failure } from "../../../support/bucket-failures.ts";
import { startElliptics, type EllipticsCluster, type EllipticsOptions } from "../../../support/elliptics/index.ts";
import { RawElliptics } from "../../../support/elliptics/raw-client.ts";
import { ellipticsSettings, quickTuning } from "../../../support/elliptics/settings.ts";
import { addressBytes } from "../../../support/elliptics/wire.ts";
import { removeFolder, temporaryFolder, until } from "../../../support/program.ts";
import { keysOf, outcome, put, textOf } from "../../../support/storage-content.ts";

describe("elliptics finds servers", () => {
  const undos: (() => Promise<void>)[] = [];
  let started: EllipticsCluster | undefined;
  afterEach(async () => {
    for (const undo of undos.splice(0).reverse()) await undo();
    started?.check();
  });

  const start = async (options: EllipticsOptions): Promise<EllipticsCluster> => {
    const cluster = (started = await startElliptics(options));
    undos.push(() => cluster.close());
    return cluster;
  };
  const open = async (known: Pick<EllipticsCluster, "addresses" | "groups">): Promise<StorageDriver> => {
    const driver = await openElliptics(ellipticsSettings(known), quickTuning);
    undos.push(() => driver.close());
    return driver;
  };
  /** A driver that is told of one server alone. */
  const openByOne = async ({ addresses, groups }: EllipticsCluster): Promise<StorageDriver> =>
    await open({ addresses: addresses.slice(0, 1), groups });

  it("by IPv6", async () => {
    const cluster = await start({ layout: "two", family: 10 });
    const driver = await open(cluster);
    expect(cluster.addresses[0]).to.match(/^::1:\d+:10$/);
    await put(driver, "six", "x");
    expect(await textOf(driver, "six")).to.equal("x");
  });

  it("through one that knows the others, and tags in as many shards as they have", async () => {
    const cluster = await start({ layout: "ring", shards: 16 });
    const driver = await openByOne(cluster);
    for (let index = 0; index < 12; index++) await put(driver, `known/${index}`, "x");
    expect(cluster.nodes.map(({ connections }) => connections)).to.deep.equal([1, 1, 1]);
    const raw = await RawElliptics.connect(cluster.nodes[2]!.port);
    let found = 0;
    for (let shard = 0; shard < 16; shard++) {
      const [answer] = await raw.find(["docker", "known"], shard);
      if (answer?.header.status === 0) found += answer.body.toString("latin1").split("known/").length - 1;
    }
    raw.close();
    expect(found).to.equal(2 * 12);
  });

  it("also where they say that they are somewhere else, by letting those that it reaches pass things on", async () => {
    const cluster = await start({ layout: "ring", advertised: addressBytes(2, 9, Buffer.of(127, 0, 0, 1)) });
    const driver = await openByOne(cluster);
    for (let index = 0; index < 12; index++) await put(driver, `passed/${index}`, "x");
    expect(await keysOf(driver, "passed")).to.have.length(12);
    expect(cluster.nodes.map(({ connections }) => connections)).to.deep.equal([1, 0, 0]);
    expect(cluster.backends.every(({ objects }) => objects > 0)).to.be.true;
  });

  it("of its own version alone, and says so of others", async () => {
    const driver = await open(await start({ layout: "one", version: [2, 27] }));
    const { code, message } = await failure(driver.ping());
    expect(code).to.equal("UNAVAILABLE");
    expect(message).to.contain("2.26");
  });

  it("that come later", async () => {
    const cluster = await start({ layout: "one" });
    await cluster.nodes[0]!.stop();
    const driver = await open(cluster);
    expect(await outcome(driver.stat("x"))).to.equal("UNAVAILABLE");
    await cluster.nodes[0]!.start();
    await until("it is found", async () => (await outcome(driver.stat("x"))) === "NOT_FOUND");
  });

  it("but doesn't wait for ever for one that takes connections and says nothing: another passes things on", async () => {
    const cluster = await start({ layout: "two" });
    const [first, second] = cluster.nodes;
    cluster.faults.silence({ command: "REVERSE_LOOKUP", port: second!.port });
    const driver = await openElliptics(ellipticsSettings(cluster), { ...quickTuning, patience: 500 });
    undos.push(() => driver.close());
    await put(driver, "x", "x");
    await first!.stop();
    expect((await failure(driver.stat("x"))).message).to.match(/group 1\b.*group 2\b/);
    cluster.faults.calm();
    await first!.start();
    await until(
      "both speak",
      async () => (await outcome(put(driver, "x", "y"))) === "done" && second!.connections === 1,
    );
  });

  it("and tells a file which it has lost and found", async () => {
    const folder = await temporaryFolder("elliptics-log");
    undos.push(() => removeFolder(folder));
    const cluster = await start({ layout: "one" });
    const file = join(folder, "events");
    const more = { elliptics_logfile: file, elliptics_verbosity: "info" };
    const driver = await openElliptics(ellipticsSettings(cluster, more), quickTuning);
    undos.push(() => driver.close());
    const [node] = cluster.nodes;
    await node!.stop();
    await until("it is lost", async () => (await outcome(driver.ping())) === "UNAVAILABLE");
    await node!.start();
    await until("it is found", async () => (await outcome(driver.ping())) === "done");
    const name = node!.address.replace(/:2$/, "");
    const written = async (): Promise<readonly string[]> => (await readFile(file, "utf8")).split("\n");
    await until("all is written", async () => (await written()).filter((line) => line.includes(`connected to ${name} `)).length === 2); // prettier-ignore
    expect((await written()).filter((line) => line.includes("elliptics error") && line.includes(name))).to.have.lengthOf.within(1, 3); // prettier-ignore
  });

  it("and says which group none of them has", async () => {
    const { addresses } = await start({ layout: "one" });
    const driver = await open({ addresses, groups: [7] });
    const { code, message } = await failure(put(driver, "x", "x"));
    expect(code).to.equal("UNAVAILABLE");
    expect(message).to.match(/group 7\b/);
  });
});
