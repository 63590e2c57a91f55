import { expect } from "chai";
import { DriverError } from "../../../../src/drivers/storage/errors.ts";
import { PartMemory } from "../../../../src/drivers/storage/s3/part-memory.ts";
import { swiftTuning } from "../../../../src/drivers/storage/swift.ts";
import { connectSwift } from "../../../../src/drivers/storage/swift/connect.ts";
import type { Container } from "../../../../src/drivers/storage/swift/container.ts";
import type { SwiftObjects } from "../../../../src/drivers/storage/swift/objects.ts";
import { streamedUpload, type StreamedParts } from "../../../../src/drivers/storage/swift/streamed-upload.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { until } from "../../../support/program.ts";
import { seededRandom } from "../../../support/random.ts";
import { outcome, randomBytes, rejection } from "../../../support/storage-content.ts";
import { swiftBehindProxy } from "../../../support/swift-behind-proxy.ts";
import type { TcpProxy } from "../../../support/tcp-proxy.ts";

const part = 1_048_576;
const piece = 65_536;
const size = 7 * part + 17;
/** What is taken of a part while the one before is being made sure of. */
const ahead = (part * 3) / 8;

describe("an upload to Swift whose parts are sent while they come", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  let proxy: TcpProxy;
  let objects: SwiftObjects;
  let segments: Container;
  let content: Buffer;
  /** How much of the content was asked for. */
  let asked = 0;

  before(async function () {
    content = randomBytes(seededRandom(this), size);
    const swift = await swiftBehindProxy(this, atEnd);
    ({ proxy, segments } = swift);
    objects = await connectSwift(swift.settings, swiftTuning({ partSize: part, delay: 1, idle: 30_000 }));
    atEnd(async () => {
      objects.close();
      await Promise.resolve();
    });
  });

  afterEach(() => {
    proxy.calm();
  });

  async function* source(): AsyncGenerator<Uint8Array> {
    for (asked = 0; asked < size;) {
      await Promise.resolve();
      asked += piece;
      yield content.subarray(asked - piece, asked);
    }
  }

  /** Stores the content in parts, each by `send`. */
  async function upload(
    send: (part: number, store: () => Promise<void>) => Promise<void>,
    memory = new PartMemory(64 * part),
  ): Promise<void> {
    const begin = async (key: string): Promise<StreamedParts> => {
      const parts = await objects.begin(key);
      return {
        send: async (number, growing) => {
          await send(number, async () => {
            await parts.send(number, growing);
          });
        },
        complete: async (length) => await parts.complete(length),
        abort: async () => {
          await parts.abort();
        },
      };
    };
    const target = { tuning: objects.tuning, put: objects.put.bind(objects), begin };
    await streamedUpload(target, "object", source(), memory);
  }

  const read = async (): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of (await objects.get("object")).response as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const expectNothing = async (): Promise<void> => {
    expect(await outcome(objects.head("object"))).to.equal("NOT_FOUND");
    const page = await segments.list({ prefix: "", after: "", folded: false, limit: 1000 });
    expect(page?.objects.map(({ key }) => key)).to.deep.equal([]);
  };
  const failure = (text: string): DriverError => new DriverError("UNAVAILABLE", text);

  it("takes a piece of the next part, and no more, until the server is sure of the one before", async () => {
    const begun: number[] = [];
    await upload(async (number, store) => {
      begun.push(number);
      await store();
      if (number !== 3) return;
      await until("part 4 is on its way", () => begun.includes(4));
      await until("all that may be taken is taken", () => asked >= 3 * part + ahead);
      expect(asked).to.be.at.most(3 * part + ahead + piece);
      expect(begun).to.deep.equal([1, 2, 3, 4]);
    });
    expect((await read()).equals(content)).to.be.true;
    await objects.remove("object", true);
  });

  it("takes nothing of the next part where memory has no room for it", async () => {
    await upload(async (number, store) => {
      await store();
      if (number > 6) return;
      expect(asked).to.be.at.most(number * part + piece);
    }, new PartMemory(part));
    expect((await read()).equals(content)).to.be.true;
    await objects.remove("object", true);
  });

  it("sends parts again whose connections are cut, also two at the same time", async () => {
    for (const bytes of [part / 2, 3 * piece]) {
      proxy.cutAfter("up", bytes, 3);
      await upload(async (number, store) => {
        await store();
        // Both that are on their way then.
        if (number === 3) proxy.cutAll();
      });
      expect((await read()).equals(content)).to.be.true;
      await objects.remove("object", true);
    }
    await expectNothing();
  });

  it("fails and leaves nothing when a part can't be stored while the next is on its way", async () => {
    const begun: number[] = [];
    const work = upload(async (number, store) => {
      begun.push(number);
      await store();
      if (number !== 2) return;
      await until("part 3 is on its way", () => begun.includes(3));
      throw failure("part 2 is lost");
    });
    expect(String(await rejection(work))).to.contain("part 2 is lost");
    expect(begun).to.deep.equal([1, 2, 3]);
    await expectNothing();
  });

  for (const [title, isAlso] of [
    ["fails and leaves nothing when a part can't be stored while the one before is being made sure of", false],
    ["tells the first failure, and leaves nothing, when both can't be stored", true],
  ] as const) {
    it(title, async () => {
      let hasFailed = false;
      const work = upload(async (number, store) => {
        if (number === 3) {
          hasFailed = true;
          throw failure("part 3 is lost");
        }
        await store();
        if (number !== 2) return;
        await until("part 3 has failed", () => hasFailed);
        if (isAlso) throw failure("part 2 is lost");
      });
      expect(String(await rejection(work))).to.contain("part 3 is lost");
      await expectNothing();
    });
  }

  it("leaves nothing when its source fails while two parts are on their way", async () => {
    const begun: number[] = [];
    let isOver = false;
    const whole = source;
    const broken = async function* () {
      for await (const chunk of whole()) {
        if (begun.includes(3)) throw new Error("the client left");
        yield chunk;
      }
    };
    const begin = async (key: string): Promise<StreamedParts> => {
      const parts = await objects.begin(key);
      return {
        send: async (number, growing) => {
          begun.push(number);
          await parts.send(number, growing);
          if (number === 2) await until("part 3 is on its way", () => begun.includes(3));
        },
        complete: async (length) => await parts.complete(length),
        abort: async () => {
          isOver = true;
          await parts.abort();
        },
      };
    };
    const target = { tuning: objects.tuning, put: objects.put.bind(objects), begin };
    const memory = new PartMemory(64 * part);
    expect(String(await rejection(streamedUpload(target, "object", broken(), memory)))).to.contain("the client left");
    expect(isOver).to.be.true;
    expect(memory.hasRoom(64 * part), "all memory is given back").to.be.true;
    await expectNothing();
  });
});
