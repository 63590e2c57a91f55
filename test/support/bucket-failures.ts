import { expect } from "chai";
import type { Context } from "mocha";
import type { StorageDriver } from "../../src/drivers/storage/driver.ts";
import { DriverError } from "../../src/drivers/storage/errors.ts";
import { retried } from "../../src/drivers/storage/retried.ts";
import type { Tuning } from "../../src/drivers/storage/s3/object-bucket.ts";
import { endOfSuite } from "./end-of-suite.ts";
import { until } from "./program.ts";
import {
  bufferBytes,
  bytesOf,
  exists,
  hashOf,
  keysOf,
  outcome,
  put,
  rejection,
  repeated,
  source,
} from "./storage-content.ts";
import type { TcpProxy } from "./tcp-proxy.ts";

const mebibyte = 1_048_576;
const block = Buffer.alloc(65_536, "failures ");
const tuning = { delay: 1, idle: 30_000 };

/** A bucket behind a proxy that can disturb what is asked of it. */
export interface DisturbedBucket {
  readonly proxy: TcpProxy;
  /** Opens it through the proxy. */
  open(tuning: Partial<Tuning>): Promise<StorageDriver>;
  /** Ends the server as a power cut would; its objects may be gone after `restart`. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** How many requests an object is copied by, moved by where that is not one more, and written by where it is not one. */
  readonly requests: { readonly copy: number; readonly move?: number; readonly put?: number };
}

/** The `DriverError` that it rejects with. */
export async function failure(work: Promise<unknown>): Promise<DriverError> {
  const error = await rejection(work);
  if (!(error instanceof DriverError)) throw error;
  return error;
}

/** Lets each of `work` fail, a thousand times in all, by two faults in turns, and expects that nothing of it stays in memory. */
export async function failThousandTimes(proxy: TcpProxy, work: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failAll = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time += 20) {
      proxy.mode = (time / 20) % 2 === 0 ? "refuse" : "busy";
      if (proxy.mode === "refuse") proxy.cutAll();
      const results = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => await outcome(work[index % work.length]!())),
      );
      expect(new Set(results)).to.deep.equal(new Set(["UNAVAILABLE"]));
    }
  };
  await failAll(100);
  const buffers = bufferBytes();
  const heap = process.memoryUsage().heapUsed;
  await failAll(1_000);
  // What was collected may be given back a moment later.
  await until("the buffers are free", () => bufferBytes() - buffers < 2 * mebibyte);
  expect(process.memoryUsage().heapUsed - heap).to.be.below(8 * mebibyte);
}

/** What a driver that keeps its objects in a bucket does when connections, its server or its caller fail it. */
export function describeBucketFailures(
  name: string,
  start: (context: Context, atEnd: (undo: () => Promise<unknown>) => void) => Promise<DisturbedBucket>,
): void {
  describe(`${name} when its server fails`, function () {
    this.timeout(180_000);
    let stage: DisturbedBucket;
    let proxy: TcpProxy;
    let driver: StorageDriver;
    const atEnd = endOfSuite();

    before(async function () {
      stage = await start(this, atEnd);
      ({ proxy } = stage);
      driver = await stage.open(tuning);
      atEnd(() => driver.close());
      await driver.write("large", repeated(block, 24 * mebibyte));
      for (let index = 0; index < 20; index++) await put(driver, `many/${index}`, "x");
    });

    afterEach(() => {
      proxy.calm();
    });

    describe("a write", () => {
      it("goes on when connections are cut in the middle of it", async () => {
        proxy.cutAfter("up", 3 * mebibyte, 2);
        await driver.write("cut", repeated(block, 20 * mebibyte));
        expect(await hashOf(await driver.read("cut"))).to.equal(await hashOf(repeated(block, 20 * mebibyte)));
        proxy.cutAfter("up", 100, 2);
        await put(driver, "cut", "small");
        expect(String(await bytesOf(driver, "cut"))).to.equal("small");
      });

      it("goes on when the answer to its last request is lost", async () => {
        const content = async function* () {
          yield* repeated(block, 12 * mebibyte);
          // The next answers are those to the last part and to what makes an object of them.
          proxy.cutAfter("down", 1, 2);
        };
        await driver.write("lost", content());
        expect((await driver.stat("lost")).size).to.equal(12 * mebibyte);
      });

      it("fails and leaves nothing when the server goes away", async () => {
        const going = async function* () {
          yield* repeated(block, 12 * mebibyte);
          await until("a part is on its way", () =>
            proxy.requests.some((line) => /partNumber=|upload_id=|\/parts\//.test(line)),
          );
          proxy.mode = "refuse";
          proxy.cutAll();
          yield* repeated(block, 12 * mebibyte);
        };
        proxy.requests.length = 0;
        expect(await outcome(driver.write("gone", going()))).to.equal("UNAVAILABLE");
        proxy.calm();
        expect(await exists(driver, "gone")).to.be.false;
        expect(await keysOf(driver, "gone")).to.deep.equal([]);
      });
    });

    it("moves although each answer is lost once, and names what is not there", async () => {
      await put(driver, "from", "content");
      for (const lost of [1, 2, 3]) {
        proxy.cutAfter("down", 1, lost);
        await driver.move("from", "to");
        await driver.move("to", "from");
      }
      expect(String(await bytesOf(driver, "from"))).to.equal("content");
      expect(await exists(driver, "to")).to.be.false;
      expect((await failure(driver.copy("missing", "to"))).message).to.equal("missing does not exist");
    });

    it("does nothing any more once it is closed", async () => {
      const own = await stage.open(tuning);
      await own.close();
      proxy.requests.length = 0;
      expect((await failure(put(own, "closed", "x"))).message).to.contain("the storage is closed");
      expect(proxy.requests).to.deep.equal([]);
    });

    describe("a read", () => {
      const whole = async (): Promise<string> => await hashOf(repeated(block, 24 * mebibyte));

      it("goes on where it broke, more than once", async () => {
        proxy.cutAfter("down", 5 * mebibyte, 4);
        expect(await hashOf(await driver.read("large"))).to.equal(await whole());
        proxy.cutAfter("down", 2 * mebibyte, 1);
        const part = await driver.read("large", { start: 1_000_001, end: 9_000_002 });
        expect(await hashOf(part)).to.equal(
          await hashOf(source(Buffer.alloc(24 * mebibyte, block).subarray(1_000_001, 9_000_002))),
        );
      });

      it("fails when the server stays away, and when it is another object meanwhile", async () => {
        const stream = await driver.read("large");
        proxy.mode = "refuse";
        proxy.cutAll();
        expect(await failure(hashOf(stream))).to.include({ code: "UNAVAILABLE" });
        proxy.calm();
        await driver.write("changing", repeated(block, 24 * mebibyte));
        const changing = await driver.read("changing");
        await put(driver, "changing", "another");
        proxy.cutAfter("down", 1);
        expect(await failure(hashOf(changing))).to.include({ code: "UNAVAILABLE" });
      });

      it("may pause longer than the server may", async () => {
        const idle = 2_000;
        const quick = await stage.open({ ...tuning, idle });
        const stream = await quick.read("large");
        const rest = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
        let size = ((await rest.next()).value as Buffer).length;
        const deadline = Date.now() + 1.2 * idle;
        await until("the server's time is over", () => Date.now() > deadline);
        for (let next = await rest.next(); next.done !== true; next = await rest.next()) size += next.value.length;
        expect(size).to.equal(24 * mebibyte);
        await quick.close();
      });
    });

    describe("any operation", () => {
      it("opens while the server is away, and works once it is there", async () => {
        proxy.mode = "refuse";
        proxy.cutAll();
        const early = await stage.open(tuning);
        expect(await outcome(early.stat("large"))).to.equal("UNAVAILABLE");
        proxy.calm();
        expect((await early.stat("large")).size).to.equal(24 * mebibyte);
        await early.close();
      });

      it("asks again and again by the same connection", async () => {
        await driver.stat("large");
        const before = proxy.accepted;
        for (let time = 0; time < 20; time++) await driver.stat("large");
        expect(proxy.accepted - before).to.be.below(2);
      });

      it("goes on with a listing where it was cut", async () => {
        const small = await stage.open({ ...tuning, pageSize: 4 });
        const stubborn = retried(small, { delay: 1 });
        const seen: string[] = [];
        for await (const { key } of stubborn.list("many")) {
          seen.push(key);
          if (seen.length % 7 === 0) proxy.cutAfter("down", 1, 2);
        }
        expect(seen).to.deep.equal(Array.from({ length: 20 }, (_, index) => `many/${index}`).sort());
        proxy.mode = "refuse";
        proxy.cutAll();
        expect(await outcome(keysOf(small, "many"))).to.equal("UNAVAILABLE");
        await small.close();
      });

      it("waits when the server has too much to do, and gives up in the end", async () => {
        for (const [work, requests] of [
          [async () => await driver.stat("large"), 1],
          [
            async () => {
              await driver.copy("many/1", "copied");
            },
            stage.requests.copy,
          ],
          [
            async () => {
              await driver.move("copied", "moved");
            },
            stage.requests.move ?? stage.requests.copy + 1,
          ],
          [
            async () => {
              await put(driver, "busy", "x");
            },
            stage.requests.put ?? 1,
          ],
        ] as const) {
          proxy.busyFor(3);
          const before = proxy.requests.length;
          await work();
          expect(proxy.requests.length - before).to.equal(3 + requests);
        }
        proxy.busyFor(1_000);
        expect(await outcome(driver.stat("large"))).to.equal("UNAVAILABLE");
        expect(await outcome(driver.write("never", repeated(block, 12 * mebibyte)))).to.equal("UNAVAILABLE");
        proxy.calm();
        expect(await exists(driver, "never")).to.be.false;
      });

      it("takes the time that a slow server needs, as long as that says something now and then", async () => {
        const idle = 3_000;
        const patient = await stage.open({ ...tuning, idle });
        proxy.mode = "slow";
        proxy.requests.length = 0;
        const started = Date.now();
        const slow = await patient.read("large", { start: 0, end: 10 * mebibyte });
        expect(await hashOf(slow)).to.equal(await hashOf(repeated(block, 10 * mebibyte)));
        expect(Date.now() - started, "the server may say nothing for less").to.be.above(idle);
        expect(proxy.requests.filter((line) => line.includes("large"))).to.have.length(1);
        expect(await keysOf(patient, "many")).to.have.length(20);
        await patient.close();
        await driver.write("slow", repeated(block, 4 * mebibyte));
        expect(await hashOf(await driver.read("slow"))).to.equal(await hashOf(repeated(block, 4 * mebibyte)));
      });

      it("gives up on a server that says nothing", async () => {
        const impatient = await stage.open({ ...tuning, idle: 50, attempts: 1 });
        proxy.mode = "silent";
        expect((await failure(impatient.stat("large"))).message).to.match(/no answer within 0.05 s/);
        expect(await outcome(impatient.write("silent", repeated(block, 12 * mebibyte)))).to.equal("UNAVAILABLE");
        expect(await outcome(impatient.ping())).to.equal("UNAVAILABLE");
        await impatient.close();
      });
    });

    describe("afterwards", () => {
      it("works again after the gateway was killed and started", async () => {
        await stage.kill();
        expect(await outcome(driver.ping())).to.equal("UNAVAILABLE");
        expect(await outcome(put(driver, "killed", "x"))).to.equal("UNAVAILABLE");
        await stage.restart();
        await put(driver, "killed", "there");
        expect(String(await bytesOf(driver, "killed"))).to.equal("there");
      });

      it("keeps no connection and no memory of a thousand failures", async () => {
        await driver.write("large", repeated(block, 24 * mebibyte));
        const lonely = await stage.open({ ...tuning, attempts: 1 });
        const work: readonly (() => Promise<unknown>)[] = [
          async () => await lonely.stat("large"),
          async () => await hashOf(await lonely.read("large")),
          async () => await lonely.write("leak", repeated(block, 100_000)),
          async () => await keysOf(lonely, "many"),
        ];
        await failThousandTimes(proxy, work);
        proxy.calm();
        proxy.cutAll();
        expect((await lonely.stat("large")).size).to.equal(24 * mebibyte);
        await lonely.close();
        await driver.close();
        await until("all connections are closed", () => proxy.connections === 0);
      });
    });
  });
}
