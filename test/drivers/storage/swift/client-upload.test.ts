import { randomUUID } from "node:crypto";
import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { PartMemory } from "../../../../src/drivers/storage/s3/part-memory.ts";
import { openSwift, swiftTuning } from "../../../../src/drivers/storage/swift.ts";
import { connectSwift } from "../../../../src/drivers/storage/swift/connect.ts";
import type { Container } from "../../../../src/drivers/storage/swift/container.ts";
import type { SwiftObjects } from "../../../../src/drivers/storage/swift/objects.ts";
import type { SwiftSettings } from "../../../../src/drivers/storage/swift/options.ts";
import { parseManifest, Segments } from "../../../../src/drivers/storage/swift/segments.ts";
import { streamedUpload, type StreamedParts } from "../../../../src/drivers/storage/swift/streamed-upload.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { until } from "../../../support/program.ts";
import { seededRandom } from "../../../support/random.ts";
import { bytesOf, exists, keysOf, outcome, put, randomBytes, rejection, source } from "../../../support/storage-content.ts"; // prettier-ignore
import { swiftBehindProxy } from "../../../support/swift-behind-proxy.ts";
import type { TcpProxy } from "../../../support/tcp-proxy.ts";

const part = 1_048_576;
const size = 6 * part + 17;
const day = 24 * 3_600_000;
const blob = "docker/registry/v2/blobs/sha256/ab/abcd/data";

describe("what a client uploads to Swift", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  let proxy: TcpProxy;
  let driver: StorageDriver;
  let stored: SwiftObjects;
  let objects: Container;
  let segments: Container;
  let content: Buffer;
  let key: string;
  let settings: SwiftSettings;

  before(async function () {
    content = randomBytes(seededRandom(this), size);
    ({ proxy, objects, segments, settings } = await swiftBehindProxy(this, atEnd));
    const tuning = { partSize: part, delay: 1, idle: 30_000 };
    driver = await openSwift(settings, tuning);
    atEnd(() => driver.close());
    stored = await connectSwift(settings, swiftTuning(tuning));
    atEnd(async () => {
      stored.close();
      await Promise.resolve();
    });
    // Makes both containers.
    await driver.write("a", pieces());
    await driver.delete("a");
  });

  beforeEach(() => {
    key = `_registryctl/uploads/${randomUUID()}/data/${randomUUID()}`;
    proxy.requests.length = 0;
  });

  afterEach(() => {
    proxy.calm();
  });

  const pieces = async function* (from = 0, to = size): AsyncGenerator<Uint8Array> {
    for (let at = from; at < to; at += 65_536) {
      await Promise.resolve();
      yield content.subarray(at, Math.min(at + 65_536, to));
    }
  };
  /** What lies beside the objects, by the names of its folders. */
  const beside = async (): Promise<readonly string[]> => {
    const page = await segments.list({ prefix: "", after: "", folded: false, limit: 1000 });
    return (page?.objects ?? []).map((one) => one.key.split("/", 1)[0] ?? "");
  };
  const expectNothing = async (): Promise<void> => {
    expect(await exists(driver, key)).to.be.false;
    expect(await beside()).to.deep.equal([]);
  };
  const expectContent = async (at: string): Promise<void> => {
    expect((await bytesOf(driver, at)).equals(content)).to.be.true;
  };

  it("is one part when it comes fast, and has its size, its ranges and its place in lists", async () => {
    expect((await driver.write(key, pieces())).size).to.equal(size);
    expect(proxy.requests.map((line) => line.replace(/ .*\/(pending|parts|data)\/.*/, " $1"))).to.deep.equal(
      ["PUT pending", "PUT parts", "PUT data"], "nothing is looked for where nothing can be"); // prettier-ignore
    expect(await beside()).to.deep.equal(["parts", "pending"]);
    await expectContent(key);
    expect((await driver.stat(key)).size).to.equal(size);
    const range = await bytesOf(driver, key, { start: part - 3, end: 5 * part + 1 });
    expect(range.equals(content.subarray(part - 3, 5 * part + 1))).to.be.true;
    const sizes = [];
    for await (const entry of driver.list("_registryctl")) sizes.push(entry.size);
    expect(sizes).to.deep.equal([size]);
    await driver.copy(key, "copy");
    await driver.delete(key);
    await expectContent("copy");
    await driver.delete("copy");
    await expectNothing();
  });

  it("becomes a blob that is a list for every client, without a copy", async () => {
    await driver.write(key, pieces());
    proxy.requests.length = 0;
    await driver.move(key, blob);
    expect(proxy.requests.filter((line) => line.includes("/parts/"))).to.deep.equal([]);
    expect(await beside()).to.deep.equal(["parts"]);
    expect(await exists(driver, key)).to.be.false;
    const list = parseManifest(await objects.read(blob, { "multipart-manifest": "get" }));
    expect(list.map(({ size_bytes: bytes }) => bytes)).to.deep.equal([size]);
    const chunks: Buffer[] = [];
    for await (const chunk of (await objects.get(blob)).body as AsyncIterable<Buffer>) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(content)).to.be.true;
    await driver.delete(blob);
    await expectNothing();
  });

  it("is no part of more than 128 MiB", async () => {
    const most = 128 * part;
    const long = async function* () {
      for (let sent = 0; sent <= most; sent += part) yield await Promise.resolve(content.subarray(0, part));
    };
    await driver.write(key, long());
    const sizes = parseManifest(await objects.read(key, { "multipart-manifest": "get" })).map((one) => one.size_bytes);
    expect(sizes.reduce((sum, bytes) => sum + bytes)).to.equal(most + part);
    expect(Math.max(...sizes)).to.equal(most);
    await driver.delete(key);
    await expectNothing();
  });

  it("begins another part where its client pauses, so that no connection waits for it", async () => {
    const parts = async (): Promise<readonly string[]> => (await beside()).filter((name) => name === "parts");
    const pausing = async function* () {
      yield* pieces(0, 3 * part);
      await until("a part has been ended", async () => (await parts()).length === 1);
      yield* pieces(3 * part);
    };
    await driver.write(key, pausing());
    expect(await parts()).to.have.length(2);
    await expectContent(key);
    await driver.delete(key);
    await expectNothing();
  });

  it("is sent again while it is in memory, and fails and leaves nothing when its connection is cut later", async () => {
    const begin = async (to: string): Promise<StreamedParts> => {
      const parts = await stored.begin(to);
      return {
        send: async (number, growing) => {
          // As a connection does that is cut after the first bytes.
          const first = growing.read();
          expect((await first.next()).value).to.have.length(part);
          await first.return(undefined);
          await parts.send(number, growing);
        },
        complete: async (length) => await parts.complete(length),
        abort: async () => {
          await parts.abort();
        },
      };
    };
    const target = { tuning: stored.tuning, put: stored.put.bind(stored), begin };
    await streamedUpload(target, key, pieces(), new PartMemory(64 * part));
    await expectContent(key);
    await driver.delete(key);
    await expectNothing();
    proxy.cutAll();
    proxy.cutAfter("up", 4 * part, 1);
    expect(await outcome(driver.write(key, pieces()))).to.equal("UNAVAILABLE");
    await expectNothing();
    const broken = async function* () {
      yield* pieces(0, 4 * part);
      throw new Error("the client left");
    };
    expect(String(await rejection(driver.write(key, broken())))).to.contain("the client left");
    await expectNothing();
  });

  it("leaves no mark of a list where it is small in the end", async () => {
    const patient = await openSwift(settings, { delay: 1 });
    const bytes = content.subarray(0, 4 * part);
    const early = async function* () {
      yield bytes.subarray(0, 3 * part);
      await until("it counts as large", () => proxy.requests.some((line) => line.includes("/pending/")));
      yield bytes.subarray(3 * part);
    };
    await patient.write(key, early());
    expect((await bytesOf(patient, key)).equals(bytes)).to.be.true;
    await patient.delete(key);
    await patient.close();
    await expectNothing();
  });

  it("is kept whatever a killed process had done, until nobody lists it any more", async () => {
    for (const first of [key, blob]) {
      await driver.write(key, pieces());
      const head = await objects.head(key);
      const parts = new Segments(segments, objects);
      const list = (await parts.listOf(key, head)) ?? [];
      // All that a move does but to take the first name away.
      await parts.mark(head.upload ?? "", key, blob);
      await parts.publish(blob, head.upload ?? "", list, size);
      await driver.delete(first);
      await expectContent(first === key ? blob : key);
      await driver.delete(first === key ? blob : key);
      await expectNothing();
    }
    await driver.write(key, pieces());
    await stored.removeLeftovers(Date.now() + 2 * day);
    expect(await beside()).to.deep.equal(["parts"]);
    await driver.move(key, blob);
    await expectContent(blob);
    await driver.delete(blob);
    const killed = await stored.begin(key);
    await killed.put(1, content);
    expect(await stored.removeLeftovers(Date.now() + 2 * day)).to.equal(1);
    await expectNothing();
  });

  it("is a list of more parts where an earlier version put it", async () => {
    await driver.write("elsewhere", source(content));
    const head = await objects.head("elsewhere");
    const parts = new Segments(segments, objects);
    const list = (await parts.listOf("elsewhere", head)) ?? [];
    await parts.publish(key, head.upload ?? "", list, size);
    await objects.delete("elsewhere", true);
    expect(await beside()).to.deep.equal(Array.from({ length: 7 }, () => "parts"));
    await expectContent(key);
    await driver.move(key, blob);
    await expectContent(blob);
    await driver.delete(blob);
    await expectNothing();
  });

  it("has records without content, of which nothing is asked but their names", async () => {
    const record = `${key.split("/data/", 1)[0] ?? ""}/chunks/0-17`;
    await put(driver, record, "");
    expect(await keysOf(driver, "_registryctl")).to.deep.equal([record]);
    await driver.delete(record);
    expect(proxy.requests.map((line) => line.split(" ", 1)[0])).to.deep.equal(["PUT", "GET", "DELETE"]);
    expect(await keysOf(driver, "_registryctl")).to.deep.equal([]);
  });
});
