import { expect } from "chai";
import { openGcs } from "../../../../src/drivers/storage/gcs.ts";
import { openS3, s3Tuning } from "../../../../src/drivers/storage/s3.ts";
import { connect } from "../../../../src/drivers/storage/s3/connect.ts";
import { s3Schema } from "../../../../src/drivers/storage/s3/options.ts";
import { openSwift } from "../../../../src/drivers/storage/swift.ts";
import { swiftSchema } from "../../../../src/drivers/storage/swift/options.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { gateSettings, GoogleGate } from "../../../support/gcs-gate.ts";
import type { RadosGateway } from "../../../support/radosgw.ts";
import { s3Settings } from "../../../support/s3-server.ts";
import { hashOf, keysOf, repeated } from "../../../support/storage-content.ts";

const size = 12 * 1_048_576;
const block = Buffer.alloc(65_536, "buckets ");

describe("the bucket of s3 and gcs", function () {
  this.timeout(60_000);
  const atEnd = endOfSuite();
  let gate: GoogleGate;
  before(async function () {
    gate = await GoogleGate.start(this);
    atEnd(() => gate.stop());
  });

  for (const name of ["docker_registry", "Older-Bucket"]) {
    it(`may be called ${name}, as Ceph, Google or once Amazon allow`, async () => {
      await makeBucket(gate.gateway, name);
      const drivers = [await openS3(s3Settings(gate.gateway, name)), await openGcs(gateSettings(gate, name))];
      for (const driver of drivers) {
        await driver.write("large", repeated(block, size));
        expect(await keysOf(driver, "")).to.deep.equal(["large"]);
        expect(await hashOf(await driver.read("large"))).to.equal(await hashOf(repeated(block, size)));
        const url = await driver.redirectUrl("large", { seconds: 60 });
        expect(url && (await fetch(url)).headers.get("content-length")).to.equal(String(size));
        await driver.delete("large");
        await driver.close();
      }
    });
  }

  const places: [string, object, string][] = [
    ["before Amazon's host", {}, "https://images.s3.eu-west-1.amazonaws.com/registry/key"],
    [
      "in the path there where the option says so",
      { boto_calling_format: "OrdinaryCallingFormat" },
      "https://s3.eu-west-1.amazonaws.com/images/registry/key",
    ],
    [
      "in the path there where it can be no host's",
      { s3_bucket: "my_Images" },
      "https://s3.eu-west-1.amazonaws.com/my_Images/registry/key",
    ],
    ["in the path of others", { boto_host: "ceph.example.com" }, "https://ceph.example.com/images/registry/key"],
    [
      "before others where the option says so",
      { boto_host: "ceph.example.com", boto_calling_format: "boto.s3.connection.SubdomainCallingFormat" },
      "https://images.ceph.example.com/registry/key",
    ],
  ];
  for (const [place, options, expected] of places) {
    it(`stands ${place}`, async () => {
      const keys = { s3_access_key: "key", s3_secret_key: "secret" };
      const settings = s3Schema.parse({ ...keys, s3_bucket: "images", s3_region: "eu-west-1", ...options });
      const { bucket, transport } = await connect(settings, s3Tuning({}), []);
      const { origin, pathname } = await bucket.signedUrl("key", { seconds: 60 });
      expect(origin + pathname).to.equal(expected);
      transport.close();
    });
  }
});

/** By Swift's API: the client library can't make such buckets. */
async function makeBucket({ url, swiftAccount }: RadosGateway, name: string): Promise<void> {
  const { user, password } = swiftAccount;
  const options = { swift_authurl: `${url}/auth/v1.0`, swift_user: user, swift_password: password };
  await (await openSwift(swiftSchema.parse({ ...options, swift_container: name }))).close();
}
