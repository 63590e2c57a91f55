import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { openGcs } from "../../src/drivers/storage/gcs.ts";
import { registryctl } from "../support/cli.ts";
import { endOfSuite } from "../support/end-of-suite.ts";
import type { Permission } from "../support/gcs/buckets.ts";
import { GoogleServer, googleSettings, type ServiceAccount } from "../support/gcs-server.ts";
import { freePort } from "../support/program.ts";
import { keysOf } from "../support/storage-content.ts";

const everything: readonly Permission[] = ["get", "list", "create", "delete"];

describe("registryctl check of storage gcs", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  let server: GoogleServer;
  let account: ServiceAccount;
  let bucket = "";
  before(async () => {
    server = await GoogleServer.start();
    atEnd(() => server.stop());
    ({ bucket, account } = await server.newStore());
  });

  async function check(asked: ServiceAccount): Promise<{ readonly code: number; readonly stdout: string }> {
    const settings = { ...googleSettings(server, bucket, asked), storage_redirect: true };
    const lines = Object.entries(settings).map(([key, value]) => `  ${key}: ${String(value)}\n`);
    const flavor = `dev:\n${lines.join("")}  http: { port: ${await freePort()} }\n`;
    await writeFile(join(server.folder, "config.yml"), flavor);
    return await registryctl(["check", "-c", "config.yml"], { cwd: server.folder });
  }

  it("uses each right that a registry needs, and leaves nothing", async () => {
    const { code, stdout } = await check(account);
    expect(stdout).to.contain(
      `ok  storage gcs, bucket ${bucket} at 127.0.0.1: it can write, read, read a range, list, copy, write in parts, let clients read by signed URLs, delete`,
    );
    expect(code).to.equal(0);
    const driver = await openGcs(googleSettings(server, bucket, account));
    expect(await keysOf(driver, "")).to.deep.equal([]);
    await driver.close();
  });

  for (const [lacking, says] of [
    ["create", "it can't write: Google denies access"],
    ["get", "it can't read, read a range, copy, let clients read by signed URLs: Google denies access"],
    ["delete", "it can't delete: Google denies access"],
    ["list", "Google denies access to the bucket"],
  ] as const) {
    it(`names what an account can't do that may not ${lacking}`, async () => {
      const lesser = await server.newAccount();
      await server.grant(bucket, lesser, everything.filter((right) => right !== lacking)); // prettier-ignore
      const { code, stdout } = await check(lesser);
      expect(stdout).to.contain(says).and.to.contain(`storage.objects.${lacking}`);
      expect(code).to.equal(1);
    });
  }

  it("takes the client of oauth2 from the variables that the original named", async () => {
    const flavor = "dev: {storage: gcs, boto_bucket: b, oauth2: true}\n";
    await writeFile(join(server.folder, "config.yml"), flavor);
    const env = { OAUTH2_CLIENT_ID: "the-client", OAUTH2_CLIENT_SECRET: "its-secret" };
    const { stdout } = await registryctl(["config", "show", "-c", "config.yml"], { cwd: server.folder, env });
    expect(stdout).to.match(/oauth2_client_id +the-client +.*OAUTH2_CLIENT_ID/);
    expect(stdout).to.match(/oauth2_client_secret/).and.not.contain("its-secret"); // prettier-ignore
  });
});
