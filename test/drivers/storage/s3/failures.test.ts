import { expect } from "chai";
import { removeLeftovers } from "../../../../src/drivers/storage/s3/leftovers.ts";
import { connect } from "../../../../src/drivers/storage/s3/connect.ts";
import { openS3, s3Tuning } from "../../../../src/drivers/storage/s3.ts";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { DriverError } from "../../../../src/drivers/storage/errors.ts";
import { describeBucketFailures, failure } from "../../../support/bucket-failures.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { until } from "../../../support/program.ts";
import { startProxiedBucket } from "../../../support/proxied-bucket.ts";
import type { RadosGateway } from "../../../support/radosgw.ts";
import { s3Settings } from "../../../support/s3-server.ts";
import { exists, keysOf, outcome, put, rejection, repeated } from "../../../support/storage-content.ts";
import type { TcpProxy } from "../../../support/tcp-proxy.ts";

const mebibyte = 1_048_576;
const block = Buffer.alloc(65_536, "failures ");
const tuning = { delay: 1, idle: 30_000 };

describeBucketFailures("s3", async (context, atEnd) => {
  const { server, proxy, bucket } = await startProxiedBucket(context, atEnd);
  return {
    proxy,
    open: async (changed) => await openS3(s3Settings(server, bucket, proxy.port), changed),
    kill: async () => { await server.killGateway(); }, // prettier-ignore
    restart: async () => { await server.startGateway(); }, // prettier-ignore
    requests: { copy: 2 },
  };
});

describe("s3 when things go wrong", function () {
  this.timeout(180_000);
  let server: RadosGateway;
  let proxy: TcpProxy;
  let driver: StorageDriver;
  let bucket = "";
  const atEnd = endOfSuite();

  before(async function () {
    ({ server, proxy, bucket } = await startProxiedBucket(this, atEnd));
    driver = await openS3(s3Settings(server, bucket, proxy.port), tuning);
    atEnd(() => driver.close());
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
      expect((await open({ s3_bucket: "no bucket" })).message).to.match(/s3_bucket can't be/);
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

  describe("any operation", () => {
    it("says NO_SPACE when the quota is used up", async () => {
      await server.setQuota(1024);
      try {
        expect(await outcome(put(driver, "too-much", "x".repeat(5_000)))).to.equal("NO_SPACE");
      } finally {
        await server.setQuota(undefined);
      }
      expect(await exists(driver, "too-much")).to.be.false;
    });
  });
});
