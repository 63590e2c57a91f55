import { expect } from "chai";
import { openS3, s3Tuning } from "../../../../src/drivers/storage/s3.ts";
import { removeLeftovers } from "../../../../src/drivers/storage/s3/leftovers.ts";
import { connect } from "../../../../src/drivers/storage/s3/connect.ts";
import { probeStorage } from "../../../../src/server/storage-probe.ts";
import { s3Settings } from "../../../support/s3-server.ts";
import { put, rejection } from "../../../support/storage-content.ts";
import { SwiftServer } from "../../../support/swift.ts";

describe("the S3 API of Swift", function () {
  this.timeout(180_000);
  let server: SwiftServer | undefined;
  let bucket = "";
  before(async function () {
    server = await SwiftServer.start(this);
    bucket = await server.newBucket();
  });
  after(async () => {
    await server?.stop();
  });

  const settings = () => s3Settings(server!, bucket);

  it("has every right that a registry needs", async () => {
    const driver = await openS3(settings());
    expect(await probeStorage(driver, true)).to.match(/^it can write, .*write in parts, .*signed URLs, delete$/);
    await driver.close();
  });

  it("is told what is wrong, by the name of the option", async () => {
    const encrypting = await openS3({ ...settings(), s3_encrypt: true });
    expect(String(await rejection(put(encrypting, "k", "x")))).to.contain("set s3_encrypt to false");
    await encrypting.close();
    const { accessKey, secretKey } = server!.reader;
    for (const [wrong, says] of [
      [{ s3_region: "eu-west-1" }, "set s3_region to us-east-1"],
      [{ s3_secret_key: "not the secret" }, "correct s3_secret_key"],
      [{ s3_bucket: "nobucket" }, "nobucket does not exist: correct s3_bucket"],
      [{ s3_access_key: accessKey, s3_secret_key: secretKey }, "denies access to the bucket"],
    ] as const) {
      const error = await rejection(openS3({ ...settings(), ...wrong }));
      expect(error).to.include({ code: "REFUSED" });
      expect(String(error)).to.contain(says).and.not.contain("not the secret");
    }
  });

  it("lets go of uploads that nobody finished", async () => {
    const { bucket: own, transport } = await connect(settings(), s3Tuning({}));
    await server!.client().initiateNewMultipartUpload(bucket, "registry/left", {});
    expect(await removeLeftovers(own)).to.equal(0);
    expect(await removeLeftovers(own, Date.now() + 25 * 3_600_000)).to.equal(1);
    expect(await removeLeftovers(own, Date.now() + 25 * 3_600_000)).to.equal(0);
    transport.close();
  });
});
