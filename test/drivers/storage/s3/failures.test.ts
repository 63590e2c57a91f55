import { expect } from "chai";
import { removeLeftovers } from "../../../../src/drivers/storage/s3/leftovers.ts";
import { connect } from "../../../../src/drivers/storage/s3/connect.ts";
import { openS3, s3Tuning } from "../../../../src/drivers/storage/s3.ts";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { DriverError } from "../../../../src/drivers/storage/errors.ts";
import { retried } from "../../../../src/drivers/storage/retried.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { until } from "../../../support/program.ts";
import { startProxiedBucket } from "../../../support/proxied-bucket.ts";
import type { RadosGateway } from "../../../support/radosgw.ts";
import { s3Settings } from "../../../support/s3-server.ts";
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
} from "../../../support/storage-content.ts";
import type { TcpProxy } from "../../../support/tcp-proxy.ts";

const mebibyte = 1_048_576;
const block = Buffer.alloc(65_536, "failures ");
const tuning = { delay: 1, idle: 5_000 };

async function failure(work: Promise<unknown>): Promise<DriverError> {
  const error = await rejection(work);
  if (!(error instanceof DriverError)) throw error;
  return error;
}

describe("s3 when things go wrong", function () {
  this.timeout(60_000);
  let server: RadosGateway;
  let proxy: TcpProxy;
  let driver: StorageDriver;
  let bucket = "";
  const atEnd = endOfSuite();

  before(async function () {
    ({ server, proxy, bucket } = await startProxiedBucket(this, atEnd));
    driver = await openS3(s3Settings(server, bucket, proxy.port), tuning);
    atEnd(() => driver.close());
    await driver.write("large", repeated(block, 24 * mebibyte));
    for (let index = 0; index < 20; index++) await put(driver, `many/${index}`, "x");
  });

  afterEach(() => {
    proxy.calm();
  });

  describe("refuses to open, and says which option is wrong", () => {
    const open = async (settings: object): Promise<DriverError> =>
      await failure(openS3({ ...s3Settings(server, bucket), ...settings }, tuning));

    it("when the server does not know the access key", async () => {
      const { code, message } = await open({ s3_access_key: "NOBODYSKEY" });
      expect(code).to.equal("REFUSED");
      expect(message).to.match(/s3_access_key/);
    });

    it("when the secret key is another's, without telling it", async () => {
      const { code, message } = await open({ s3_secret_key: "some-other-secret" });
      expect(code).to.equal("REFUSED");
      expect(message)
        .to.match(/s3_secret_key/)
        .and.not.contain("some-other");
    });

    it("when there is no such bucket", async () => {
      const { code, message } = await open({ s3_bucket: "no-such-bucket" });
      expect(code).to.equal("REFUSED");
      expect(message).to.match(/no-such-bucket does not exist: correct s3_bucket/);
    });

    it("when the name can be no bucket's", async () => {
      expect((await open({ s3_bucket: "No_Bucket" })).message).to.match(/s3_bucket can't be/);
    });

    it("when the user has no rights on the bucket", async () => {
      const { accessKey, secretKey } = await server.newUser();
      const { code, message } = await open({ s3_access_key: accessKey, s3_secret_key: secretKey });
      expect(code).to.equal("REFUSED");
      expect(message)
        .to.match(new RegExp(`denies access to the bucket ${bucket}`))
        .and.not.contain(secretKey);
    });

    it("when there are no keys at all", async () => {
      const settings = { ...s3Settings(server, bucket), s3_access_key: undefined, s3_secret_key: undefined };
      const error = await failure(connect(settings, s3Tuning({}), ["/nowhere/boto.cfg"]));
      expect(error.message).to.match(/set s3_access_key and s3_secret_key/);
    });
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

    it("fails and leaves nothing when the server goes away, and its parts are found later", async () => {
      const going = async function* () {
        yield* repeated(block, 12 * mebibyte);
        await until("a part is on its way", () => proxy.requests.some((line) => line.includes("partNumber=")));
        proxy.mode = "refuse";
        proxy.cutAll();
        yield* repeated(block, 12 * mebibyte);
      };
      const { bucket: own, transport } = await connect(s3Settings(server, bucket), s3Tuning({}));
      // What other tests have left: an upload is begun again when the answer is lost.
      await removeLeftovers(own, Date.now() + 25 * 3_600_000);
      await server.client().initiateNewMultipartUpload(bucket, "not-ours/key", {});
      proxy.requests.length = 0;
      expect(await outcome(driver.write("gone", going()))).to.equal("UNAVAILABLE");
      proxy.calm();
      expect(await exists(driver, "gone")).to.be.false;
      expect(await keysOf(driver, "gone")).to.deep.equal([]);
      expect(await removeLeftovers(own), "what is young is somebody's work").to.equal(0);
      expect(await removeLeftovers(own, Date.now() + 25 * 3_600_000)).to.equal(1);
      expect(await removeLeftovers(own, Date.now() + 25 * 3_600_000)).to.equal(0);
      const { uploads } = await server.client().listIncompleteUploadsQuery(bucket, "not-ours/", "", "", "");
      expect(uploads).to.have.length(1);
      transport.close();
    });

    it("takes back its parts when its source fails", async () => {
      const failing = async function* () {
        yield* repeated(block, 20 * mebibyte);
        throw new Error("the client left");
      };
      expect(String(await rejection(driver.write("failed", failing())))).to.contain("the client left");
      const { bucket: own, transport } = await connect(s3Settings(server, bucket), s3Tuning({}));
      expect(await removeLeftovers(own, Date.now() + 25 * 3_600_000)).to.equal(0);
      transport.close();
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
    const own = await openS3(s3Settings(server, bucket, proxy.port), tuning);
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
      const quick = await openS3(s3Settings(server, bucket, proxy.port), { ...tuning, idle: 100 });
      const stream = await quick.read("large");
      const rest = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
      let size = ((await rest.next()).value as Buffer).length;
      const deadline = Date.now() + 500;
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
      const early = await openS3(s3Settings(server, bucket, proxy.port), tuning);
      expect(await outcome(early.stat("large"))).to.equal("UNAVAILABLE");
      proxy.calm();
      expect((await early.stat("large")).size).to.equal(24 * mebibyte);
      await early.close();
    });

    it("says NO_SPACE when the quota is used up", async () => {
      await server.setQuota(1024);
      try {
        expect(await outcome(put(driver, "too-much", "x".repeat(5_000)))).to.equal("NO_SPACE");
      } finally {
        await server.setQuota(undefined);
      }
      expect(await exists(driver, "too-much")).to.be.false;
    });

    it("goes on with a listing where it was cut", async () => {
      const small = await openS3(s3Settings(server, bucket, proxy.port), { ...tuning, pageSize: 4 });
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
          2,
        ],
        [
          async () => {
            await driver.move("copied", "moved");
          },
          3,
        ],
        [
          async () => {
            await put(driver, "busy", "x");
          },
          1,
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

    it("gives up on a server that says nothing", async () => {
      const impatient = await openS3(s3Settings(server, bucket, proxy.port), { ...tuning, idle: 50, attempts: 1 });
      proxy.mode = "silent";
      expect((await failure(impatient.stat("large"))).message).to.match(/no answer within 0.05 s/);
      expect(await outcome(impatient.write("silent", repeated(block, 12 * mebibyte)))).to.equal("UNAVAILABLE");
      expect(await outcome(impatient.ping())).to.equal("UNAVAILABLE");
      await impatient.close();
    });
  });

  describe("afterwards", () => {
    it("works again after the gateway was killed and started", async () => {
      await server.killGateway();
      expect(await outcome(driver.ping())).to.equal("UNAVAILABLE");
      expect(await outcome(put(driver, "killed", "x"))).to.equal("UNAVAILABLE");
      await server.startGateway();
      await put(driver, "killed", "there");
      expect(String(await bytesOf(driver, "killed"))).to.equal("there");
    });

    it("keeps no connection and no memory of a thousand failures", async () => {
      const lonely = await openS3(s3Settings(server, bucket, proxy.port), { ...tuning, attempts: 1 });
      const work: readonly (() => Promise<unknown>)[] = [
        async () => await lonely.stat("large"),
        async () => await hashOf(await lonely.read("large")),
        async () => await lonely.write("leak", repeated(block, 100_000)),
        async () => await keysOf(lonely, "many"),
      ];
      const failAll = async (times: number): Promise<void> => {
        for (let time = 0; time < times; time += 20) {
          proxy.mode = (["refuse", "busy"] as const)[(time / 20) % 2] ?? "refuse";
          if (proxy.mode === "refuse") proxy.cutAll();
          const results = await Promise.all(
            Array.from({ length: 20 }, async (_, index) => await outcome(work[index % 4]!())),
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
      proxy.calm();
      proxy.cutAll();
      expect((await lonely.stat("large")).size).to.equal(24 * mebibyte);
      await lonely.close();
      await driver.close();
      await until("all connections are closed", () => proxy.connections === 0);
    });
  });
});
