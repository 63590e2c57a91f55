import { expect } from "chai";
import { openElliptics } from "../../../../src/drivers/storage/elliptics.ts";
import { EllipticsStorage } from "../../../../src/drivers/storage/elliptics/storage.ts";
import { ellipticsSettings, quickTuning } from "../../../support/elliptics/settings.ts";
import { ellipticsStage, settled } from "../../../support/elliptics/stage.ts";
import { until } from "../../../support/program.ts";
import { hashOf, keysOf, outcome, put, repeated, textOf } from "../../../support/storage-content.ts";

const mebibyte = 1_048_576;
const block = Buffer.alloc(65_536, "leftovers ");

describe("what elliptics leaves when it can't finish", () => {
  const stage = ellipticsStage({ layout: "three" });

  const objects = (): readonly number[] => stage.cluster.backends.map((backend) => backend.objects);
  const cleanUp = async (): Promise<void> => {
    const { driver } = stage;
    if (!(driver instanceof EllipticsStorage)) throw new Error("it is another driver");
    await driver.removeLeftovers(Date.now() + 1);
  };

  it("of writes that were killed anywhere is seen by nobody, and removed later", async () => {
    const { cluster, driver } = stage;
    await put(driver, "kept/small", "small");
    await driver.write("kept/large", repeated(block, 3 * mebibyte));
    const before = objects();
    for (let skip = 0; skip < 40; skip += 3) {
      const own = await openElliptics(ellipticsSettings(cluster), quickTuning);
      // From some request on no answer comes: so it is for one that is killed.
      cluster.faults.silence({ skip });
      const size = 2 * mebibyte + 1;
      const writing = outcome(own.write("killed/large", repeated(block, size), skip % 2 === 0 ? size : undefined));
      let isSettled = false;
      void writing.then(() => (isSettled = true));
      await until("it waits, or is done", () => isSettled || cluster.faults.met > 0);
      await own.close();
      const result = await writing;
      cluster.faults.calm();
      if (result !== "done") expect(await outcome(driver.stat("killed/large"))).to.be.oneOf(["NOT_FOUND", "done"]);
      await driver.delete("killed/large");
    }
    await cleanUp();
    expect(await keysOf(driver, "")).to.deep.equal(["kept/large", "kept/small"]);
    expect(await hashOf(await driver.read("kept/large"))).to.equal(await hashOf(repeated(block, 3 * mebibyte)));
    expect(objects()).to.deep.equal(before);
  });

  it("does not keep others from writing the same for long", async () => {
    const { cluster } = stage;
    const tuning = { ...quickTuning, claims: { lifetime: 300, renewal: 50 } };
    const before = objects();
    const size = 2 * mebibyte + 1;
    // The first blocks are written beside the key, the next ones under it.
    for (const skip of [9, 12, 15]) {
      const killed = await openElliptics(ellipticsSettings(cluster), tuning);
      cluster.faults.silence({ command: "WRITE", skip });
      const writing = outcome(killed.write("claimed/large", repeated(block, size), size));
      await until("it waits", () => cluster.faults.met > 0);
      cluster.faults.silence();
      await killed.close();
      expect(await writing).to.equal("UNAVAILABLE");
      cluster.faults.calm();
      const next = await openElliptics(ellipticsSettings(cluster), tuning);
      await next.write("claimed/large", repeated(block, size), size);
      expect(await hashOf(await next.read("claimed/large"))).to.equal(await hashOf(repeated(block, size)));
      await next.delete("claimed/large");
      await next.close();
    }
    await cleanUp();
    expect(objects()).to.deep.equal(before);
  });

  it("of what is deleted while a group is away does not come back with it, and is removed later", async () => {
    const { cluster, driver } = stage;
    const before = objects();
    await put(driver, "deleted/key", "x");
    const [, , third] = cluster.nodes;
    await third!.stop();
    await driver.delete("deleted/key");
    expect(await outcome(driver.stat("deleted/key"))).to.equal("NOT_FOUND");
    await third!.start();
    await settled(stage);
    for (let round = 0; round < 5; round++) {
      expect(await outcome(driver.stat("deleted/key"))).to.equal("NOT_FOUND");
      expect(await keysOf(driver, "deleted")).to.deep.equal([]);
    }
    await cleanUp();
    expect(objects()).to.deep.equal(before);
    await put(driver, "deleted/key", "again");
    expect(await textOf(driver, "deleted/key")).to.equal("again");
    await driver.delete("deleted/key");
  });
});
