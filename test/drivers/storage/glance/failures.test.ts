import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { DriverError } from "../../../../src/drivers/storage/errors.ts";
import type { GlanceSettings } from "../../../../src/drivers/storage/glance/options.ts";
import { openGlance } from "../../../../src/drivers/storage/glance/storage.ts";
import { registryLayers } from "../../../../src/drivers/storage/layer-keys.ts";
import { openSwift } from "../../../../src/drivers/storage/swift.ts";
import { probeStorage } from "../../../../src/server/storage-probe.ts";
import { failThousandTimes } from "../../../support/bucket-failures.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { GlanceCloud, layersWhere } from "../../../support/glance-store.ts";
import { until } from "../../../support/program.ts";
import { startSwift } from "../../../support/swift-cloud.ts";
import { exists, hashOf, keysOf, namesOf, outcome, put, rejection, repeated, textOf } from "../../../support/storage-content.ts"; // prettier-ignore
import { TcpProxy } from "../../../support/tcp-proxy.ts";

const mebibyte = 1_048_576;
const day = 25 * 3_600_000;
const block = Buffer.alloc(65_536, "failures ");
const tuning = { keys: layersWhere((key) => !key.startsWith("alternate/")), delay: 1, idle: 30_000, cleansUp: false };

describe("glance when things go wrong", function () {
  this.timeout(300_000);
  let cloud: GlanceCloud;
  let proxy: TcpProxy;
  let driver: StorageDriver;
  const atEnd = endOfSuite();

  before(async function () {
    cloud = await GlanceCloud.start(this, true);
    atEnd(() => cloud.stop());
    proxy = await TcpProxy.start(cloud.glance.port);
    atEnd(() => proxy.stop());
    driver = await cloud.open(tuning, cloud.settings(cloud.keystone.user, proxy.port));
    atEnd(() => driver.close());
    await driver.write("large", repeated(block, 8 * mebibyte));
    await put(driver, "small", "content");
  });

  afterEach(() => {
    proxy.calm();
  });

  const refusal = async (settings: Partial<GlanceSettings>): Promise<DriverError> => {
    const error = await rejection(cloud.open(tuning, settings));
    if (!(error instanceof DriverError)) throw error;
    expect(error.code).to.equal("REFUSED");
    return error;
  };

  it("refuses to open with credentials that are wrong, and tells which options, not what they are", async () => {
    for (const wrong of [{ swift_user: "nobody" }, { swift_password: "wrong-secret" }, { swift_tenant_name: "none" }]) {
      const { message } = await refusal(wrong);
      expect(message)
        .to.match(/swift_user, swift_password/)
        .and.not.contain("wrong-secret");
    }
    expect((await refusal({ swift_authurl: undefined })).message).to.contain("swift_authurl");
    expect((await refusal({ swift_region_name: "Nowhere" })).message).to.contain("swift_region_name to RegionOne");
  });

  it("tells by the probe which right is missing", async () => {
    await cloud.glance.kill();
    await cloud.glance.setPolicy({ add_image: "role:nobody" });
    await cloud.glance.restart();
    const other = await cloud.open({ ...tuning, keys: registryLayers });
    const error = await rejection(probeStorage(other, false));
    expect(String(error)).to.match(/it can't write.*make images \(add_image\)/);
    await cloud.glance.kill();
    await cloud.glance.setPolicy({});
    await cloud.glance.restart();
    expect(await probeStorage(other, false)).to.match(/it can write, read/);
    await other.close();
  });

  it("goes on when a token is refused, in the middle of everything", async () => {
    for (let round = 0; round < 2; round++) {
      await cloud.keystone.revokeTokens();
      expect(await textOf(driver, "small")).to.equal("content");
    }
  });

  it("keeps another project's images apart, also for who may see all", async () => {
    const stranger = await cloud.keystone.newUser("admin", "others");
    const other = await cloud.open(tuning, cloud.settings(stranger));
    expect(await exists(other, "small")).to.be.false;
    expect(await keysOf(other, "")).to.deep.equal([]);
    await other.close();
  });

  it("finds all images again after a restart, a page at a time", async () => {
    const again = await cloud.open({ ...tuning, pageSize: 1 });
    expect(await keysOf(again, "")).to.deep.equal(["large", "small"]);
    expect(await hashOf(await again.read("large"))).to.equal(await hashOf(repeated(block, 8 * mebibyte)));
    await again.close();
  });

  it("leaves nothing of a write whose source fails", async () => {
    const failing = async function* () {
      yield* repeated(block, 4 * mebibyte);
      throw new Error("the client left");
    };
    expect(String(await rejection(driver.write("failed", failing())))).to.contain("the client left");
    expect(await exists(driver, "failed")).to.be.false;
    expect(await cloud.removeLeftovers(Date.now() + day)).to.equal(0);
  });

  it("fails a write when Glance goes away in its middle, keeps the old object, and reaps what is left", async () => {
    const going = async function* () {
      yield* repeated(block, 4 * mebibyte);
      await until("the upload", () => proxy.requests.some((line) => line.startsWith("PUT")));
      proxy.mode = "refuse";
      proxy.cutAll();
      yield* repeated(block, 4 * mebibyte);
    };
    proxy.requests.length = 0;
    await put(driver, "kept", "old");
    proxy.requests.length = 0;
    expect(await outcome(driver.write("kept", going()))).to.equal("UNAVAILABLE");
    proxy.calm();
    expect(await textOf(driver, "kept")).to.equal("old");
    expect(await cloud.removeLeftovers(Date.now()), "what is young is somebody's work").to.equal(0);
    expect(await cloud.removeLeftovers(Date.now() + day)).to.equal(1);
    expect(await textOf(driver, "kept")).to.equal("old");
  });

  it("fails a write when Glance is killed and started again in its middle, and keeps the old object", async () => {
    const stored = await cloud.glance.storedFiles();
    await put(driver, "killed", "old");
    let restarted = Promise.resolve();
    const killing = async function* () {
      yield* repeated(block, 4 * mebibyte);
      await until("content on Glance's disk", async () => (await cloud.glance.storedFiles()) > stored + 1);
      await cloud.glance.kill();
      restarted = cloud.glance.restart();
      await restarted;
      yield* repeated(block, 4 * mebibyte);
    };
    expect(await outcome(driver.write("killed", killing()))).to.equal("UNAVAILABLE");
    await restarted;
    expect(await textOf(driver, "killed")).to.equal("old");
    await put(driver, "killed", "new");
    expect(await textOf(driver, "killed")).to.equal("new");
    expect(await keysOf(driver, "")).to.include("killed");
    // Nobody was there to delete what the driver could not finish.
    expect(await cloud.removeLeftovers(Date.now() + day)).to.equal(1);
    expect(await textOf(driver, "killed")).to.equal("new");
  });

  it("goes on with a read and a listing whose connection is cut", async () => {
    proxy.cutAfter("down", 3 * mebibyte);
    expect(await hashOf(await driver.read("large"))).to.equal(await hashOf(repeated(block, 8 * mebibyte)));
    proxy.cutAfter("down", 100);
    expect(await keysOf(driver, "")).to.include("large");
  });

  it("comes again when Glance is too busy, and says so when it stays so", async () => {
    proxy.busyFor(2);
    expect(await textOf(driver, "small")).to.equal("content");
    proxy.mode = "busy";
    expect(await outcome(driver.stat("small"))).to.equal("UNAVAILABLE");
    expect(await outcome(put(driver, "busy", "x"))).to.equal("UNAVAILABLE");
    proxy.calm();
    expect(await exists(driver, "busy")).to.be.false;
  });

  it("does not wait for ever for a Glance that says nothing", async () => {
    const impatient = await cloud.open({ ...tuning, idle: 300, attempts: 1 }, cloud.settings(undefined, proxy.port));
    proxy.mode = "silent";
    expect(await outcome(impatient.stat("small"))).to.equal("UNAVAILABLE");
    await impatient.close();
  });

  it("leaves no layer when the alternate fails before it is whole, and nothing of the alternate when Glance does", async () => {
    await put(driver, "alternate/upload", "what is pushed");
    proxy.mode = "refuse";
    proxy.cutAll();
    expect(await outcome(driver.move("alternate/upload", "layer"))).to.equal("UNAVAILABLE");
    proxy.calm();
    expect(await textOf(driver, "alternate/upload")).to.equal("what is pushed");
    expect(await exists(driver, "layer")).to.be.false;
    await driver.move("alternate/upload", "layer");
    expect(await textOf(driver, "layer")).to.equal("what is pushed");
    expect(await exists(driver, "alternate/upload")).to.be.false;
    expect(await outcome(driver.move("alternate/missing", "layer"))).to.equal("NOT_FOUND");
    expect(await textOf(driver, "layer")).to.equal("what is pushed");
  });

  it("keeps no connection and no memory of 1,000 failures", async () => {
    const eager = await cloud.open({ ...tuning, attempts: 1 }, cloud.settings(undefined, proxy.port));
    await failThousandTimes(proxy, [
      async () => await eager.stat("small"),
      async () => await hashOf(await eager.read("large")),
      async () => await eager.write("new", repeated(block, 100_000)),
      async () => await keysOf(eager, ""),
    ]);
    proxy.calm();
    expect(await textOf(eager, "small")).to.equal("content");
    expect(await exists(eager, "new")).to.be.false;
    await eager.close();
    await until("no connection", () => proxy.connections <= 4);
  });

  describe("of its alternate", () => {
    let alternate: TcpProxy;
    let mixed: StorageDriver;

    before(async function () {
      const swift = await startSwift(this);
      atEnd(() => swift.stop());
      alternate = await TcpProxy.start(swift.port);
      atEnd(() => alternate.stop());
      const settings = cloud.settings();
      mixed = await openGlance(settings, await openSwift(swift.settings(alternate.port), { delay: 1 }), tuning);
      atEnd(() => mixed.close());
      await mixed.write("alternate/large", repeated(block, 4 * mebibyte), 4 * mebibyte);
      await put(mixed, "alternate/small", "old");
      await put(mixed, "above", "a layer");
    });

    afterEach(() => {
      alternate.calm();
    });

    const goAway = (): void => {
      alternate.mode = "refuse";
      alternate.cutAll();
    };

    it("fails a write that it goes away from, and keeps the old object", async () => {
      const going = async function* () {
        yield* repeated(block, mebibyte);
        goAway();
        yield* repeated(block, mebibyte);
      };
      expect(await outcome(mixed.write("alternate/small", going()))).to.equal("UNAVAILABLE");
      expect(await outcome(mixed.delete("alternate/small"))).to.equal("UNAVAILABLE");
      alternate.calm();
      expect(await textOf(mixed, "alternate/small")).to.equal("old");
      await put(mixed, "alternate/small", "new");
      expect(await textOf(mixed, "alternate/small")).to.equal("new");
    });

    it("goes on with a read that is cut, and fails one that it goes away from", async () => {
      alternate.cutAfter("down", mebibyte);
      expect(await hashOf(await mixed.read("alternate/large"))).to.equal(await hashOf(repeated(block, 4 * mebibyte)));
      const reading = async (): Promise<void> => {
        let isFirst = true;
        for await (const chunk of await mixed.read("alternate/large")) {
          if (isFirst) goAway();
          isFirst = (chunk as Uint8Array).length === 0;
        }
      };
      expect(await outcome(reading())).to.equal("UNAVAILABLE");
    });

    it("lists nothing without it: what has layers alone would look like a whole store", async () => {
      const whole = ["above", "alternate/large", "alternate/small"];
      expect((await keysOf(mixed, "")).filter((key) => whole.includes(key))).to.deep.equal(whole);
      alternate.cutAfter("down", 50);
      expect((await keysOf(mixed, "")).filter((key) => whole.includes(key))).to.deep.equal(whole);
      goAway();
      expect(await outcome(keysOf(mixed, ""))).to.equal("UNAVAILABLE");
      expect(await outcome(namesOf(mixed, ""))).to.equal("UNAVAILABLE");
      expect(await outcome(mixed.ping())).to.equal("UNAVAILABLE");
    });

    it("does without it what is Glance's alone", async () => {
      goAway();
      await put(mixed, "layer of Glance", "content");
      expect(await textOf(mixed, "layer of Glance")).to.equal("content");
      expect(await textOf(mixed, "above")).to.equal("a layer");
      expect(await outcome(mixed.stat("alternate/small"))).to.equal("UNAVAILABLE");
    });

    it("makes no layer of half an upload, and keeps the upload that could not be deleted", async () => {
      const from = "alternate/huge";
      await mixed.write(from, repeated(block, 32 * mebibyte), 32 * mebibyte);
      const stored = await cloud.glance.storedFiles();
      const begun = until("content on Glance's disk", async () => (await cloud.glance.storedFiles()) > stored);
      const [half] = await Promise.all([outcome(mixed.move(from, "moved")), begun.then(goAway)]);
      expect(half).to.equal("UNAVAILABLE");
      alternate.calm();
      expect(await exists(mixed, "moved")).to.be.false;
      // All of it has been read when it goes away.
      const going = until("the whole upload in Glance", async () => await exists(mixed, "moved")).then(goAway);
      const moving = outcome(mixed.move(from, "moved"));
      await going;
      expect(["UNAVAILABLE", "done"]).to.include(await moving);
      alternate.calm();
      const hash = await hashOf(repeated(block, 32 * mebibyte));
      expect(await hashOf(await mixed.read("moved"))).to.equal(hash);
      if (await exists(mixed, from)) await mixed.move(from, "moved");
      expect([await exists(mixed, from), await hashOf(await mixed.read("moved"))]).to.deep.equal([false, hash]);
    });

    it("keeps a layer that could not become the alternate's", async () => {
      goAway();
      expect(await outcome(mixed.move("above", "alternate/below"))).to.equal("UNAVAILABLE");
      alternate.calm();
      expect([await textOf(mixed, "above"), await exists(mixed, "alternate/below")]).to.deep.equal(["a layer", false]);
    });
  });
});
