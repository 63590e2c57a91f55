import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { openSwift } from "../../../../src/drivers/storage/swift.ts";
import type { Container } from "../../../../src/drivers/storage/swift/container.ts";
import type { SwiftSettings } from "../../../../src/drivers/storage/swift/options.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { until } from "../../../support/program.ts";
import { seededRandom } from "../../../support/random.ts";
import { bytesOf, outcome, put, randomBytes, source, textOf } from "../../../support/storage-content.ts";
import { swiftBehindProxy } from "../../../support/swift-behind-proxy.ts";
import type { TcpProxy } from "../../../support/tcp-proxy.ts";

const part = 1_048_576;
const size = 12 * part + 17;

describe("a list of parts in Swift that is read", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  let proxy: TcpProxy;
  let driver: StorageDriver;
  let objects: Container;
  let segments: Container;
  let content: Buffer;
  let settings: SwiftSettings;

  before(async function () {
    content = randomBytes(seededRandom(this), size);
    ({ proxy, settings, objects, segments } = await swiftBehindProxy(this, atEnd));
    driver = await openSwift(settings, { partSize: part, delay: 1, idle: 30_000 });
    atEnd(() => driver.close());
  });

  beforeEach(async () => {
    await driver.write("list", source(content));
    proxy.requests.length = 0;
  });

  afterEach(() => {
    proxy.calm();
  });

  const partKeys = async (): Promise<readonly string[]> => {
    const page = await segments.list({ prefix: "parts/", after: "", folded: false, limit: 1000 });
    return (page?.objects ?? []).map(({ key }) => key);
  };
  /** Reads all of it, and does `meanwhile` when some has come. */
  const readWhile = async (meanwhile: () => Promise<unknown>): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of (await driver.read("list")) as AsyncIterable<Buffer>) {
      if (chunks.length === 0) await meanwhile();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  };
  /** What reading rejects with, and nothing but what was stored was read before. */
  const outcomeOf = async (meanwhile: () => Promise<unknown>): Promise<string> => {
    let at = 0;
    const reading = (async () => {
      for await (const chunk of (await driver.read("list")) as AsyncIterable<Buffer>) {
        if (at === 0) await meanwhile();
        expect(chunk.equals(content.subarray(at, at + chunk.length)), `from ${at}`).to.be.true;
        at += chunk.length;
      }
      expect(at).to.equal(size);
    })();
    return await outcome(reading);
  };

  it("is asked for once, and each of its parts once, in their order", async () => {
    expect((await bytesOf(driver, "list")).equals(content)).to.be.true;
    const [first, ...rest] = proxy.requests;
    expect(first).to.match(/^GET .*\/registry\/list\?multipart-manifest=get$/);
    expect(rest.map((line) => Number(/\/parts\/.*\/(\d+)$/.exec(line)?.[1]))).to.deep.equal(
      Array.from({ length: 13 }, (_, index) => index + 1),
    );
  });

  it("has every range, within parts and across their ends", async () => {
    for (const [start, end] of [
      [0, 1],
      [part - 1, part + 1],
      [part, 2 * part],
      [5 * part - 7, 9 * part + 7],
      [12 * part, size],
      [3, undefined],
    ] as const) {
      const range = { start, ...(end !== undefined && { end }) };
      expect((await bytesOf(driver, "list", range)).equals(content.subarray(start, end)), `from ${start}`).to.be.true;
    }
  });

  it("is whole although connections are cut, in its parts or between them", async () => {
    for (const bytes of [1, part / 2, part, 3 * part]) {
      proxy.cutAfter("down", bytes, 3);
      expect((await bytesOf(driver, "list")).equals(content), `after ${bytes}`).to.be.true;
    }
  });

  it("goes on in another part when the server was away for a moment", async () => {
    const read = await readWhile(async () => {
      proxy.cutAll();
      proxy.busyFor(2);
      await Promise.resolve();
    });
    expect(read.equals(content)).to.be.true;
  });

  it("is what it was, or fails, when it is replaced or deleted meanwhile", async () => {
    const others = [
      async () => {
        await put(driver, "list", "another");
      },
      async () => {
        await driver.write("list", source(Buffer.alloc(size, "another")));
      },
    ];
    for (const replace of others) {
      expect(await outcomeOf(replace)).to.equal("UNAVAILABLE");
      await driver.write("list", source(content));
    }
    const deleted = await outcomeOf(async () => {
      await driver.delete("list");
    });
    expect(["NOT_FOUND", "UNAVAILABLE"]).to.include(deleted);
  });

  it("fails when a part is gone or is another one", async () => {
    for (const index of [0, 1, 6, 12]) {
      const key = (await partKeys())[index] ?? "";
      await segments.put(key, { body: Buffer.alloc(index === 12 ? 17 : part, "another") });
      expect(await outcome(bytesOf(driver, "list")), `part ${index + 1} is another`).to.equal("UNAVAILABLE");
      await segments.delete(key, true);
      expect(await outcome(bytesOf(driver, "list")), `part ${index + 1} is gone`).to.equal("UNAVAILABLE");
      await driver.write("list", source(content));
    }
  });

  it("lets go of its connections when its reader does", async () => {
    const patient = await openSwift(settings, { idle: 60_000 });
    for (let count = 0; count < 20; count++) (await patient.read("list")).destroy();
    for await (const chunk of (await patient.read("list")) as AsyncIterable<Buffer>) if (chunk.length > 0) break;
    await until("no connection is open", () => proxy.connections === 0);
    await patient.close();
  });

  it("is put together by Swift where others made it, in whatever way", async () => {
    for (const [key, text] of [["a", "one "], ["b", "two "], ["c", "three"]] as const) await segments.put(`others/${key}`, { body: Buffer.from(text) }); // prettier-ignore
    const path = (key: string): string => decodeURIComponent(segments.path(key));
    const list = async (key: string, entries: readonly object[]): Promise<void> => {
      await objects.put(key, { body: Buffer.from(JSON.stringify(entries)), query: { "multipart-manifest": "put" } });
    };
    await list("plain", [{ path: path("others/a") }, { path: path("others/c") }]);
    await list("ranges", [
      { path: path("others/c"), range: "1-3" },
      { path: path("others/b"), range: "0-1" },
    ]);
    await list("nested", [{ path: decodeURIComponent(objects.path("plain")) }, { path: path("others/b") }]);
    const prefix = segments.path("others/").slice(1);
    await objects.put("dynamic", { body: Buffer.from("a list"), headers: { "x-object-manifest": prefix } });
    const texts = [];
    for (const key of ["plain", "ranges", "nested", "dynamic"]) texts.push(await textOf(driver, key));
    expect(texts).to.deep.equal(["one three", "hretw", "one threetwo ", "one two three"]);
  });
});
