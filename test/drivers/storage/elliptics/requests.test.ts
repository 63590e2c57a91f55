import { expect } from "chai";
import { openElliptics } from "../../../../src/drivers/storage/elliptics.ts";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { capturedExchanges, comparable } from "../../../support/elliptics/exchanges.ts";
import { keyId } from "../../../support/elliptics/ids.ts";
import { startElliptics, type EllipticsCluster } from "../../../support/elliptics/index.ts";
import { ellipticsSettings } from "../../../support/elliptics/settings.ts";
import { headerBytes, parseIo } from "../../../support/elliptics/wire.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { put, textOf } from "../../../support/storage-content.ts";

const exchanges = capturedExchanges();
const key = "images/abc/json";

describe("what elliptics sends", () => {
  let cluster: EllipticsCluster;
  let driver: StorageDriver;
  const atEnd = endOfSuite();

  before(async () => {
    cluster = await startElliptics({ layout: "one" });
    atEnd(() => cluster.close());
    cluster.received = [];
    driver = await openElliptics(ellipticsSettings(cluster));
    atEnd(() => driver.close());
  });

  afterEach(() => {
    cluster.check();
  });

  /** The frames that come while `work` is done. */
  const framesOf = async (work: () => Promise<unknown>): Promise<readonly Buffer[]> => {
    const received = (cluster.received = []) as NonNullable<typeof cluster.received>;
    await work();
    return received.map(({ header, body }) => Buffer.concat([headerBytes(header), body]));
  };
  /** Expects all that the original sent among what was sent. */
  const expectCaptured = (frames: readonly Buffer[], ...names: readonly string[]): void => {
    const sent = frames.map(comparable);
    for (const name of names) expect(sent, name).to.include.members(exchanges[name]!.sent.map(comparable));
  };

  it("when it connects is what the original client sends", () => {
    const frames = cluster.received!.map(({ header, body }) => Buffer.concat([headerBytes(header), body]));
    expect(frames.slice(0, 2).map(comparable)).to.deep.equal(exchanges["connect"]!.sent.map(comparable));
  });

  it("when it writes is what the original client sends to write and to tag, with the time of now", async () => {
    const before = Math.floor(Date.now() / 1000);
    const frames = await framesOf(async () => { await put(driver, key, '{"a":1}'); }); // prettier-ignore
    expectCaptured(frames, "write", "update");
    const times = frames.filter((frame) => frame.readUInt32LE(80) === 4).map((frame) => Number(parseIo(frame.subarray(120)).time.seconds)); // prettier-ignore
    expect(Math.min(...times)).to.be.within(before, before + 60);
  });

  it("when it reads is what the original client sends to look for the newest and to read it", async () => {
    const frames = await framesOf(() => textOf(driver, key, { start: 1, end: 4 }));
    expectCaptured(frames, "lookup", "readlatest");
  });

  it("when it writes much of a known length is what the original client sends in pieces", async () => {
    const size = 5 * 1_048_576 + 3;
    const frames = await framesOf(() => driver.write("big/key", blocks(size), size));
    const written = frames.filter((frame) => frame.readUInt32LE(80) === 4).map((frame) => parseIo(frame.subarray(120)));
    const pieces = written.filter((io) => io.id.equals(keyId("big/key")));
    expect(pieces.length).to.be.greaterThan(2);
    for (const [index, io] of pieces.entries()) {
      const captured = exchanges["chunk"]!.sent[index === 0 ? 0 : index === pieces.length - 1 ? 2 : 1]!;
      const { flags, parent, userFlags } = parseIo(captured.subarray(120));
      expect(io).to.deep.include({ flags, parent, userFlags });
      const end = io.offset + io.size;
      expect(io.num).to.equal(index === 0 || index === pieces.length - 1 ? size : end);
    }
  });

  it("when it deletes is what the original client sends to remove and to drop all tags", async () => {
    const frames = await framesOf(async () => { await driver.delete(key); }); // prettier-ignore
    expectCaptured(frames, "remove", "setempty");
  });
});

async function* blocks(size: number): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (let left = size; left > 0; left -= 100_000) yield Buffer.alloc(Math.min(100_000, left), "block ");
}
