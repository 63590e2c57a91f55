import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { openGlance } from "../../../../src/drivers/storage/glance/storage.ts";
import { openLocal } from "../../../../src/drivers/storage/local.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { failing, type FailingDriver, type Fault } from "../../../support/failing-driver.ts";
import { GlanceCloud } from "../../../support/glance-store.ts";
import { until } from "../../../support/program.ts";
import { bytesOf, exists, hashOf, keysOf, outcome, put, rejection, repeated, source, textOf } from "../../../support/storage-content.ts"; // prettier-ignore
import { TcpProxy } from "../../../support/tcp-proxy.ts";

const mebibyte = 1_048_576;
const day = 25 * 3_600_000;
const block = Buffer.alloc(65_536, "an upload ");
const text = "what is pushed";

describe("an upload to glance", function () {
  this.timeout(300_000);
  let cloud: GlanceCloud;
  let proxy: TcpProxy;
  let folder: string;
  let alternate: StorageDriver;
  let driver: StorageDriver;
  const atEnd = endOfSuite();

  /** A process of its own on the same store. */
  const open = async (behind?: (alternate: StorageDriver) => StorageDriver, short = 2): Promise<StorageDriver> => {
    const local = await openLocal(folder);
    const tuning = { delay: 1, attempts: 2, cleansUp: false, short };
    const other = await openGlance(cloud.settings(undefined, proxy.port), behind?.(local) ?? local, tuning);
    atEnd(() => other.close());
    return other;
  };

  before(async function () {
    cloud = await GlanceCloud.start(this);
    atEnd(() => cloud.stop());
    proxy = await TcpProxy.start(cloud.glance.port);
    atEnd(() => proxy.stop());
    folder = await cloud.folder();
    alternate = await openLocal(folder);
    driver = await open();
  });

  afterEach(async () => {
    proxy.calm();
    await cloud.clear();
    for (const key of await keysOf(alternate, "")) await alternate.delete(key);
  });

  const uploadKeys = (): { folder: string; key: string; layer: string } => {
    const id = randomUUID().replaceAll("-", "");
    const own = `_registryctl/uploads/${id}`;
    return { folder: own, key: `${own}/data/${randomUUID()}`, layer: `docker/registry/v2/blobs/sha256/aa/${id}/data` };
  };
  const sent = (): number => proxy.requests.filter((line) => line.startsWith("PUT")).length;

  it("goes into an image while it comes, is read and listed by others, and becomes a layer without being sent again", async () => {
    const { folder, key, layer } = uploadKeys();
    const size = 3 * mebibyte;
    const other = await open();
    proxy.requests.length = 0;
    expect((await driver.write(key, repeated(block, size))).size).to.equal(size);
    expect((await alternate.stat(key)).size, "only a reference").to.be.below(300);
    expect((await other.stat(key)).size).to.equal(size);
    const range = { start: 65_530, end: 65_560 };
    expect(await bytesOf(other, key, range)).to.deep.equal(Buffer.concat([block, block]).subarray(range.start, range.end)); // prettier-ignore
    const listed: unknown[] = [];
    for await (const entry of other.list(folder)) listed.push([entry.key, entry.size]);
    expect(listed).to.deep.equal([[key, size]]);
    await other.move(key, layer);
    expect(sent()).to.equal(1);
    expect(await hashOf(await driver.read(layer))).to.equal(await hashOf(repeated(block, size)));
    expect(await keysOf(driver, "")).to.deep.equal([layer]);
    expect(await cloud.removeLeftovers(Date.now() + day, alternate), "it is no leftover").to.equal(0);
    expect(await cloud.images()).to.have.length(1);
  });

  it("waits in the alternate where it is short, or follows another part, and becomes a layer from there", async () => {
    const { folder, key, layer } = uploadKeys();
    const later = `${folder}/data/${randomUUID()}`;
    const usual = await open(undefined, 262_144);
    await usual.write(key, repeated(block, 262_144));
    expect(await cloud.images()).to.have.length(0);
    await usual.write(later, repeated(block, mebibyte));
    expect(await cloud.images()).to.have.length(0);
    expect((await usual.stat(later)).size).to.equal(mebibyte);
    await usual.move(later, layer);
    expect(await hashOf(await usual.read(layer))).to.equal(await hashOf(repeated(block, mebibyte)));
    expect(await keysOf(usual, folder)).to.deep.equal([key]);
  });

  it("that lies in the alternate as a whole, since it is older, becomes a layer", async () => {
    const { key, layer } = uploadKeys();
    await alternate.write(key, repeated(block, mebibyte));
    await driver.move(key, layer);
    expect(await hashOf(await driver.read(layer))).to.equal(await hashOf(repeated(block, mebibyte)));
    expect(await keysOf(driver, "")).to.deep.equal([layer]);
  });

  it("is what its client has sent, also where that looks like a reference", async () => {
    const [stored, other] = [uploadKeys(), uploadKeys()];
    await put(driver, stored.key, text);
    const reference = await textOf(alternate, stored.key);
    const usual = await open(undefined, 262_144);
    await put(usual, stored.key, reference);
    await put(usual, other.key, reference);
    expect(await textOf(usual, stored.key)).to.equal(reference);
    expect(await textOf(usual, other.key)).to.equal(reference);
    expect(await cloud.images(), "that of the text is gone").to.have.length(1);
  });

  it("goes on in the alternate when something is added to it", async () => {
    const { key, layer } = uploadKeys();
    await put(driver, key, text);
    await driver.append?.(key, 4, source(" comes"));
    expect(await textOf(driver, key)).to.equal("what comes");
    expect(await cloud.images()).to.have.length(0);
    expect(await outcome(driver.append?.(key, 11, source("")) ?? Promise.resolve())).to.equal("NOT_FOUND");
    await driver.move(key, layer);
    expect(await textOf(driver, layer)).to.equal("what comes");
  });

  it("takes its image with it when it is deleted, and leaves one that is a layer by now", async () => {
    const { key, layer } = uploadKeys();
    await put(driver, key, text);
    await driver.delete(key);
    expect([await exists(driver, key), await cloud.images()]).to.deep.equal([false, []]);
    // The process was killed before the reference was gone.
    await put(driver, key, text);
    const reference = await textOf(alternate, key);
    await driver.move(key, layer);
    await put(alternate, key, reference);
    expect(await textOf(driver, key)).to.equal(text);
    await driver.move(key, layer);
    await put(alternate, key, reference);
    await driver.move(key, `${layer}2`);
    expect([await textOf(driver, layer), await textOf(driver, `${layer}2`)]).to.deep.equal([text, text]);
    await put(alternate, key, reference);
    await driver.delete(key);
    expect(await textOf(driver, layer)).to.equal(text);
    expect(await cloud.removeLeftovers(Date.now() + day, alternate)).to.equal(0);
  });

  it("keeps its image as long as it waits, and is reaped with age when a killed process has left it alone", async () => {
    const { key, layer } = uploadKeys();
    await put(driver, key, text);
    expect(await cloud.removeLeftovers(Date.now() + day, alternate)).to.equal(0);
    expect(await textOf(driver, key)).to.equal(text);
    await alternate.delete(key);
    expect(await cloud.removeLeftovers(Date.now(), alternate), "what is young is somebody's work").to.equal(0);
    expect(await cloud.removeLeftovers(Date.now() + day, alternate)).to.equal(1);
    expect(await cloud.images()).to.have.length(0);
    expect(await outcome(driver.move(key, layer))).to.equal("NOT_FOUND");
  });

  it("that somebody else deletes while it is moved becomes no layer", async () => {
    const { key, layer } = uploadKeys();
    let reads = 0;
    const mover = await open((local) => {
      const read = local.read.bind(local);
      local.read = async (...args) => {
        reads += 1;
        // The second time the image is claimed already.
        if (reads === 2) await driver.delete(key);
        return await read(...args);
      };
      return local;
    });
    await put(driver, key, text);
    expect(await outcome(mover.move(key, layer))).to.equal("NOT_FOUND");
    expect(await exists(driver, layer)).to.be.false;
    expect(await cloud.images(), "it was claimed").to.have.length(1);
    expect(await cloud.removeLeftovers(Date.now() + day, alternate)).to.equal(1);
  });

  it("is not there when Glance goes away in its middle, and nothing of it stays", async () => {
    const { folder, key, layer } = uploadKeys();
    const going = async function* () {
      yield* repeated(block, 2 * mebibyte);
      await until("the upload", () => sent() > 0);
      proxy.mode = "refuse";
      proxy.cutAll();
      yield* repeated(block, 2 * mebibyte);
    };
    proxy.requests.length = 0;
    expect(await outcome(driver.write(key, going()))).to.equal("UNAVAILABLE");
    expect(await keysOf(alternate, folder)).to.deep.equal([]);
    proxy.calm();
    expect(await cloud.removeLeftovers(Date.now() + day, alternate)).to.equal(1);
    const leaving = async function* () {
      yield* repeated(block, 2 * mebibyte);
      throw new Error("the client left");
    };
    expect(String(await rejection(driver.write(key, leaving())))).to.contain("the client left");
    expect(await cloud.removeLeftovers(Date.now() + day, alternate)).to.equal(0);
    await put(driver, key, text);
    proxy.mode = "refuse";
    proxy.cutAll();
    expect(await outcome(driver.move(key, layer))).to.equal("UNAVAILABLE");
    expect((await driver.stat(key)).size).to.equal(text.length);
    proxy.calm();
    await driver.move(key, layer);
    expect(await textOf(driver, layer)).to.equal(text);
  });

  it("is whole or not there, whichever call of the alternate fails, and goes on afterwards", async () => {
    const push = async (fault: Fault): Promise<number> => {
      const { key, layer } = uploadKeys();
      let broken: FailingDriver | undefined;
      const faulty = await open((local) => (broken = failing(local, fault)));
      const written = await outcome(put(faulty, key, text));
      if (written !== "done") await put(driver, key, text);
      const moved = await outcome(faulty.move(key, layer));
      if (moved !== "done" && (await exists(driver, key))) await driver.move(key, layer);
      expect(await textOf(driver, layer), JSON.stringify(fault)).to.equal(text);
      expect(await keysOf(driver, ""), JSON.stringify(fault)).to.deep.equal([layer]);
      expect(await cloud.images(), JSON.stringify(fault)).to.have.length(1);
      await driver.delete(layer);
      return broken?.calls ?? 0;
    };
    const calls = await push({ nth: Infinity, when: "before" });
    expect(calls).to.be.above(5);
    for (let nth = 1; nth <= calls; nth++) await push({ nth, when: "before" });
    // What only reads is the same without an effect.
    for (const operation of ["write", "delete"] as const) await push({ operation, nth: 1, when: "after" });
  });
});
