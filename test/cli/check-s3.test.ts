import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl } from "../support/cli.ts";
import { endOfSuite } from "../support/end-of-suite.ts";
import { freePort, removeFolder, temporaryFolder } from "../support/program.ts";
import { RadosGateway } from "../support/radosgw.ts";
import { s3Flavor } from "../support/s3-server.ts";
import { keysOf } from "../support/storage-content.ts";
import { openS3 } from "../../src/drivers/storage/s3.ts";
import { s3Settings } from "../support/s3-server.ts";

const everything = ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"];

describe("registryctl check of storage s3", function () {
  this.timeout(180_000);
  let server: RadosGateway;
  let cwd = "";
  let bucket = "";
  const atEnd = endOfSuite();
  before(async function () {
    server = await RadosGateway.start(this);
    atEnd(() => server.stop());
    cwd = await temporaryFolder();
    atEnd(() => removeFolder(cwd));
    bucket = await server.newBucket();
  });

  async function check(...options: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
    const changed = new Set(options.map((line) => line.split(":")[0]));
    const lines = [
      ...s3Flavor(server, bucket).filter((line) => !changed.has(line.split(":")[0])),
      `http: { port: ${await freePort()} }`,
      ...options,
    ];
    await writeFile(join(cwd, "config.yml"), `dev:\n${lines.map((line) => `  ${line}\n`).join("")}`);
    return await registryctl(["check", "-c", "config.yml"], { cwd });
  }

  /** A user whom the bucket's policy gives all rights but one, also on what they have written. */
  async function userWithout(lacking: string): Promise<readonly string[]> {
    const { accessKey, secretKey, arn } = await server.newUser();
    const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
    const Statement = [
      { Effect: "Allow", Principal: { AWS: [arn] }, Action: everything, Resource },
      { Effect: "Deny", Principal: { AWS: [arn] }, Action: [lacking], Resource },
    ];
    await server.client().setBucketPolicy(bucket, JSON.stringify({ Version: "2012-10-17", Statement }));
    return [`s3_access_key: ${accessKey}`, `s3_secret_key: ${secretKey}`];
  }

  it("uses each right that a registry needs, and leaves nothing", async () => {
    const { code, stdout } = await check("storage_redirect: true");
    expect(stdout).to.contain(
      `ok  storage s3, bucket ${bucket} at 127.0.0.1: it can write, read, read a range, list, copy`,
    );
    expect(stdout).to.contain("write in parts, let clients read by signed URLs, delete");
    expect(code).to.equal(0);
    const driver = await openS3(s3Settings(server, bucket));
    expect(await keysOf(driver, "")).to.deep.equal([]);
    await driver.close();
  });

  for (const [lacking, says] of [
    ["s3:PutObject", "it can't write: the server denies access"],
    ["s3:GetObject", "it can't read, read a range, copy, write in parts: the server denies access"],
    ["s3:DeleteObject", "it can't delete: the server denies access"],
    ["s3:ListBucket", "the rights, that of listing among them"],
  ] as const) {
    it(`names what a user without ${lacking} can't do`, async () => {
      const { code, stdout } = await check(...(await userWithout(lacking)));
      expect(stdout).to.contain(says).and.to.contain("give its user the rights");
      expect(code).to.equal(1);
    });
  }

  it("says which option is wrong, without a secret", async () => {
    for (const [option, says] of [
      ["s3_access_key: NOBODY", "correct s3_access_key"],
      ["s3_secret_key: not-the-secret", "correct s3_secret_key"],
      ["s3_bucket: no-such-bucket", "no-such-bucket does not exist: correct s3_bucket"],
    ] as const) {
      const { code, stdout } = await check(option);
      expect(stdout).to.contain(says).and.not.to.contain("not-the-secret");
      expect(code).to.equal(1);
    }
    expect((await check(`boto_port: ${await freePort()}`)).stdout).to.contain("ECONNREFUSED");
  });
});
