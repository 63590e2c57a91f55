import type { Context } from "mocha";
import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { connectIdentity } from "../../../../src/drivers/storage/openstack/identity.ts";
import { Requests } from "../../../../src/drivers/storage/openstack/requests.ts";
import { openSwift, swiftTuning } from "../../../../src/drivers/storage/swift.ts";
import { connectSwift } from "../../../../src/drivers/storage/swift/connect.ts";
import { Container } from "../../../../src/drivers/storage/swift/container.ts";
import { meaningOfSwift } from "../../../../src/drivers/storage/swift/failure.ts";
import { Segments } from "../../../../src/drivers/storage/swift/segments.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { broken, bytesOf, exists, hashOf, keysOf, outcome, put, rejection, repeated, source } from "../../../support/storage-content.ts"; // prettier-ignore
import { startCeph, startSwift, type SwiftCloud } from "../../../support/swift-cloud.ts";
import { TcpProxy } from "../../../support/tcp-proxy.ts";

const part = 1_048_576;
const block = Buffer.alloc(65_536, "large objects ");
const size = 5 * part + 17;
const day = 24 * 3_600_000;

const dialects: Readonly<Record<string, (context: Context) => Promise<SwiftCloud>>> = {
  Swift: startSwift,
  Ceph: startCeph,
};

for (const [name, start] of Object.entries(dialects)) {
  describe(`large objects on ${name}`, function () {
    this.timeout(180_000);
    const atEnd = endOfSuite();
    const tuning = { partSize: part, delay: 1, idle: 30_000 };
    let proxy: TcpProxy;
    let driver: StorageDriver;
    let objects: Awaited<ReturnType<typeof connectSwift>>;
    let segments: Container;
    let names: Container;
    let parts: Segments;

    before(async function () {
      const cloud = await start(this);
      atEnd(() => cloud.stop());
      proxy = await TcpProxy.start(cloud.port);
      atEnd(() => proxy.stop());
      const settings = cloud.settings(proxy.port);
      driver = await openSwift(settings, tuning);
      atEnd(() => driver.close());
      const identity = await connectIdentity(settings);
      atEnd(() => identity.close());
      const requests = new Requests({
        identity,
        service: "object-store",
        attempts: { attempts: 1, delay: 1 },
        meaning: meaningOfSwift,
      });
      segments = new Container(requests, `${settings.swift_container}_segments`, "registry");
      names = new Container(requests, settings.swift_container, "registry");
      parts = new Segments(segments, names);
      objects = await connectSwift(settings, swiftTuning(tuning));
      atEnd(async () => {
        objects.close();
        await Promise.resolve();
      });
    });

    afterEach(() => {
      proxy.calm();
    });

    /** What lies beside the objects: parts and what is pending. */
    const beside = async (): Promise<readonly string[]> => {
      const page = await segments.list({ prefix: "", after: "", folded: false, limit: 1000 });
      return (page?.objects ?? []).map(({ key }) => key);
    };
    const large = (length = size): AsyncIterable<Uint8Array> => repeated(block, length);
    const hash = async (): Promise<string> => await hashOf(large());

    it("are parts elsewhere and a list of them, of a size that was said beforehand or not", async () => {
      await driver.write("a/known", large(), size);
      await driver.write("a/unknown", large());
      expect(await beside()).to.have.length(12);
      for (const key of ["a/known", "a/unknown"]) {
        expect((await driver.stat(key)).size).to.equal(size);
        expect(await hashOf(await driver.read(key))).to.equal(await hash());
        const start = 2 * part - 5;
        const range = await bytesOf(driver, key, { start, end: 3 * part + 5 });
        expect(await hashOf(source(range))).to.equal(await hashOf(source((await bytesOf(driver, key)).subarray(start, 3 * part + 5)))); // prettier-ignore
      }
      const listed: unknown[] = [];
      for await (const entry of driver.list("a")) listed.push([entry.key, entry.size]);
      expect(listed).to.deep.equal([["a/known", size], ["a/unknown", size]]); // prettier-ignore
    });

    it("take their parts along when they are deleted, or replaced by a small one, a large one or a copy", async () => {
      await driver.delete("a/known");
      expect(await beside()).to.have.length(6);
      await driver.write("a/unknown", large(2 * part), 2 * part);
      expect(await beside()).to.have.length(2);
      await put(driver, "a/small", "small");
      await driver.copy("a/small", "a/unknown");
      expect(await beside()).to.deep.equal([]);
      for (const replace of [
        async () => {
          await put(driver, "a/known", "x");
        },
        async () => {
          await driver.move("a/small", "a/known");
        },
        async () => {
          await driver.delete("a/known");
        },
      ]) {
        // prettier-ignore
        await driver.write("a/known", large());
        await replace();
        expect(await beside()).to.deep.equal([]);
      }
    });

    it("move without their parts, and are copied with them", async () => {
      await driver.write("from", large());
      const before = await beside();
      await put(driver, "to", "was here");
      proxy.requests.length = 0;
      await driver.move("from", "to");
      expect(proxy.requests.filter((line) => line.includes("/parts/"))).to.deep.equal([]);
      expect(await beside()).to.deep.equal(before);
      expect(await exists(driver, "from")).to.be.false;
      await driver.copy("to", "copy");
      expect(await beside()).to.have.length(12);
      await driver.delete("to");
      expect(await beside()).to.have.length(6);
      expect(await hashOf(await driver.read("copy"))).to.equal(await hash());
      await driver.move("copy", "copy");
      expect(await hashOf(await driver.read("copy"))).to.equal(await hash());
      await driver.delete("copy");
      expect(await beside()).to.deep.equal([]);
    });

    it("keep their parts for the one that is left where a move was killed in its middle", async () => {
      for (const first of ["from", "to"]) {
        await driver.write("from", large());
        // All that a move does but to take the first name away.
        const head = await names.head("from");
        const upload = head.upload ?? "";
        const list = (await parts.listOf("from", head)) ?? [];
        await parts.mark(upload, "from", "to");
        await parts.publish("to", upload, list, size);
        expect([await exists(driver, "from"), await exists(driver, "to")]).to.deep.equal([true, true]);
        const second = first === "from" ? "to" : "from";
        await objects.removeLeftovers(Date.now() + 2 * day);
        await driver.delete(first);
        expect(await hashOf(await driver.read(second))).to.equal(await hash());
        await driver.delete(second);
        expect(await beside()).to.deep.equal([]);
      }
    });

    it("leave nothing when their source fails or the server goes away, and what a killed process left is reaped", async () => {
      const failing = async function* () {
        yield* large();
        yield* broken(new Error("the client left"));
      };
      expect(String(await rejection(driver.write("failed", failing())))).to.contain("the client left");
      expect(await beside()).to.deep.equal([]);
      const going = async function* () {
        yield* large();
        proxy.mode = "refuse";
        proxy.cutAll();
        yield* large();
      };
      expect(await outcome(driver.write("gone", going()))).to.equal("UNAVAILABLE");
      proxy.calm();
      expect(await exists(driver, "gone")).to.be.false;
      expect(await keysOf(driver, "gone")).to.deep.equal([]);
      const kept = await objects.begin("kept");
      await kept.put(1, Buffer.from("kept"));
      expect(await objects.removeLeftovers(), "what is young is somebody's work").to.equal(0);
      await kept.complete(4);
      await driver.write("whole", large());
      expect(await objects.removeLeftovers(Date.now() + 2 * day)).to.equal(1);
      expect(await beside()).to.have.length(7);
      expect(await hashOf(await driver.read("whole"))).to.equal(await hash());
      expect(String(await bytesOf(driver, "kept"))).to.equal("kept");
      await driver.delete("whole");
      await driver.delete("kept");
    });

    it("are one object without parts where a layer's size is known, or none", async () => {
      const key = "docker/registry/v2/blobs/sha256/ab/abcd/data";
      const length = 9 * part;
      await driver.write(key, large(2 * part));
      expect(await beside(), "of unknown size").to.have.length(2);
      proxy.requests.length = 0;
      await driver.write(key, large(length), length);
      expect(proxy.requests.filter((line) => line.startsWith("PUT") && line.endsWith("/data"))).to.have.length(1);
      expect(await beside()).to.deep.equal([]);
      const failing = async function* () {
        yield* large(length);
        // As one does whose bytes are all there, and not what their digest says.
        await Promise.resolve();
        throw new Error("these are other bytes");
      };
      expect(String(await rejection(driver.write(key, failing(), length)))).to.contain("these are other bytes");
      expect(String(await rejection(driver.write(key, large(length - 1), length)))).to.contain("should have had");
      // Connections that have passed as much before would be cut at once.
      proxy.cutAll();
      proxy.cutAfter("up", 3 * part, 1);
      expect(await outcome(driver.write(key, large(length), length))).to.equal("UNAVAILABLE");
      expect(await hashOf(await driver.read(key))).to.equal(await hashOf(large(length)));
      await driver.delete(key);
      expect(String(await rejection(driver.write(key, failing(), length)))).to.contain("these are other bytes");
      expect(await exists(driver, key)).to.be.false;
      expect(await keysOf(driver, "docker")).to.deep.equal([]);
    });

    it("are whole or not there although answers are lost, and leave no parts behind", async () => {
      for (const lost of [1, 2, 3]) {
        proxy.cutAfter("down", 1, lost);
        await driver.write("lost", large());
        expect(await hashOf(await driver.read("lost"))).to.equal(await hash());
      }
      await driver.delete("lost");
      expect(await beside()).to.deep.equal([]);
    });
  });
}
