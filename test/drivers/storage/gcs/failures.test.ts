import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { openGcs } from "../../../../src/drivers/storage/gcs.ts";
import { connectByTokens } from "../../../../src/drivers/storage/gcs/connect.ts";
import { connectByKeys } from "../../../../src/drivers/storage/gcs/interoperability.ts";
import { s3Tuning } from "../../../../src/drivers/storage/s3.ts";
import { describeBucketFailures, failure } from "../../../support/bucket-failures.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { gateSettings, GoogleGate, tooLarge } from "../../../support/gcs-gate.ts";
import { GoogleServer, googleSettings, type ServiceAccount } from "../../../support/gcs-server.ts";
import { bytesOf, exists, hashOf, outcome, put, rejection, repeated } from "../../../support/storage-content.ts";
import { TcpProxy } from "../../../support/tcp-proxy.ts";

const mebibyte = 1_048_576;
const block = Buffer.alloc(65_536, "failures ");
const tuning = { delay: 1, idle: 30_000 };

describeBucketFailures("gcs with HMAC keys", async (context, atEnd) => {
  const server = await GoogleGate.start(context);
  atEnd(() => server.stop());
  const proxy = await TcpProxy.start(server.port);
  atEnd(() => proxy.stop());
  const bucket = await server.newBucket();
  return {
    proxy,
    open: async (changed) => await openGcs(gateSettings(server, bucket, proxy.port), changed),
    kill: async () => { await server.kill(); }, // prettier-ignore
    restart: async () => { await server.restart(); }, // prettier-ignore
    requests: { copy: 2 },
  };
});

describeBucketFailures("gcs with a service account", async (_context, atEnd) => {
  const server = await GoogleServer.start();
  atEnd(() => server.stop());
  const proxy = await TcpProxy.start(server.port);
  atEnd(() => proxy.stop());
  const { bucket, account } = await server.newStore();
  return {
    proxy,
    open: async (changed) => await openGcs(googleSettings(server, bucket, account, proxy.port), changed),
    kill: async () => { await server.kill(); }, // prettier-ignore
    restart: async () => { await server.restart(); }, // prettier-ignore
    requests: { copy: 1 },
  };
});

describe("gcs with HMAC keys", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  let server: GoogleGate;
  let bucket = "";
  before(async function () {
    server = await GoogleGate.start(this);
    atEnd(() => server.stop());
    bucket = await server.newBucket();
  });
  const refused = async (changed: object): Promise<string> => {
    const { code, message } = await failure(openGcs({ ...gateSettings(server, bucket), ...changed }, tuning));
    expect(code).to.equal("REFUSED");
    return message;
  };

  it("are told to be wrong by the names of the options, without the secret", async () => {
    expect(await refused({ gs_access_key: "NOBODYSKEY" })).to.match(/correct gs_access_key/);
    const wrong = await refused({ gs_secret_key: "some-other-secret" });
    expect(wrong).to.match(/correct gs_secret_key/).and.not.contain("some-other"); // prettier-ignore
    expect(await refused({ boto_bucket: "no-such-bucket" })).to.match(
      /no-such-bucket does not exist: correct boto_bucket/,
    );
    expect(await refused({ boto_bucket: "No_Bucket" })).to.match(/boto_bucket/);
    expect(await refused({ boto_bucket: undefined })).to.match(/boto_bucket is not set/);
    expect(await refused({ gs_secret_key: undefined })).to.match(/gs_access_key is set and gs_secret_key is not/);
    const { accessKey, secretKey } = await server.gateway.newUser();
    const denied = await refused({ gs_access_key: accessKey, gs_secret_key: secretKey });
    expect(denied).to.match(/denies access to the bucket .*give the owner of gs_access_key the rights/);
    expect(denied).not.to.contain(secretKey);
  });

  it("come from boto's files where the flavor has none", async () => {
    const file = join(server.folder, "boto.cfg");
    const none = { ...gateSettings(server, bucket), gs_access_key: undefined, gs_secret_key: undefined };
    const { accessKey, secretKey } = server.account;
    await writeFile(file, `[Credentials]\ngs_access_key_id = ${accessKey}\ngs_secret_access_key = ${secretKey}\n`);
    const { bucket: own, transport } = await connectByKeys(none, s3Tuning({}), [file]);
    await own.put("from-boto", Buffer.from("x"));
    expect((await own.ask({ method: "GET", key: "from-boto" })).text).to.equal("x");
    transport.close();
    expect((await failure(connectByKeys(none, s3Tuning({}), ["/nowhere"]))).message).to.match(/set gs_access_key and/);
  });

  it("carry what Google is too small to copy at once through here, and do nothing that Google lacks", async () => {
    const driver = await openGcs(gateSettings(server, bucket), tuning);
    await driver.write(tooLarge, repeated(block, 12 * mebibyte));
    await driver.copy(tooLarge, "copy");
    expect(await hashOf(await driver.read("copy"))).to.equal(await hashOf(repeated(block, 12 * mebibyte)));
    await driver.move(tooLarge, "moved");
    expect([(await driver.stat("moved")).size, await exists(driver, tooLarge)]).to.deep.equal([12 * mebibyte, false]);
    await driver.close();
    expect(String(await rejection(server.client().removeObjects(bucket, ["copy"])))).to.match(/not implemented/);
  });
});

describe("gcs with tokens", function () {
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
  const open = async (changed: object = {}): Promise<StorageDriver> =>
    await openGcs({ ...googleSettings(server, bucket, account), ...changed }, tuning);
  const refused = async (changed: object): Promise<string> => {
    const { code, message } = await failure(open(changed));
    expect(code, message).to.equal("REFUSED");
    return message;
  };

  it("says which option is wrong, without a secret", async () => {
    const strange = await server.newAccount();
    expect(await refused({ gs_service_key_file: strange.keyFile })).to.match(
      /denies access to the bucket .*give the account the role .*storage\.objects\.list/,
    );
    const text = join(server.folder, "text.json");
    await writeFile(text, "not json");
    expect(await refused({ gs_service_key_file: text })).to.match(/gs_service_key_file is no key file/);
    expect(await refused({ gs_service_key_file: "/nowhere" })).to.match(/gs_service_key_file can't be read: \/nowhere/);
    expect(await refused({ boto_bucket: "no-such" })).to.match(/no-such does not exist: correct boto_bucket/);
    const unknown = { ...strange, keyFile: join(server.folder, "unknown.json") };
    const key = JSON.parse(await readFile(strange.keyFile, "utf8")) as Record<string, string>;
    await writeFile(unknown.keyFile, JSON.stringify({ ...key, client_email: "nobody@test.iam.gserviceaccount.com" }));
    const message = await refused({ gs_service_key_file: unknown.keyFile });
    expect(message).to.match(/gives no token .*correct gs_service_key_file/);
    expect(message).not.to.contain("PRIVATE KEY");
    await writeFile(unknown.keyFile, JSON.stringify({ ...key, client_email: account.email }));
    expect(await refused({ gs_service_key_file: unknown.keyFile })).to.match(/gives no token .*correct/);
  });

  it("names the right that an account lacks", async () => {
    const reader = await server.newAccount();
    await server.grant(bucket, reader, ["get", "list"]);
    const driver = await open({ gs_service_key_file: reader.keyFile });
    for (const [work, right] of [
      [put(driver, "denied", "x"), "create"],
      [driver.write("denied", repeated(block, 12 * mebibyte)), "create"],
    ] as const) {
      const { code, message } = await failure(work);
      expect([code, message.includes(`storage.objects.${right}`)]).to.deep.equal(["REFUSED", true]);
    }
    await driver.close();
  });

  it("works for a client that a user has given access, and says what is wrong with it", async () => {
    const user = await server.newUser();
    await server.grant(bucket, user);
    const boto = join(server.folder, ".boto");
    await writeFile(boto, `[Credentials]\ngs_oauth2_refresh_token = ${user.refreshToken}\n[OAuth2]\nprovider_token_uri = ${server.tokenUri}\n`); // prettier-ignore
    const settings = {
      ...googleSettings(server, bucket, account),
      gs_service_key_file: undefined,
      oauth2_client_id: user.id,
      oauth2_client_secret: user.secret,
    };
    const objects = await connectByTokens(settings, s3Tuning(tuning), [boto]);
    expect((await objects.put("by-user", Buffer.from("content"))).size).to.equal(7);
    expect(await objects.signedUrl("by-user", { seconds: 60 }), "a user has no key to sign with").to.equal(undefined);
    objects.close();
    const half = { ...settings, oauth2_client_id: undefined };
    const missing = await failure(connectByTokens(half, s3Tuning(tuning), [boto]));
    expect(missing.message).to.match(/oauth2_client_id is not set/);
    const other = await connectByTokens({ ...settings, oauth2_client_secret: "another-secret" }, s3Tuning(tuning), [
      boto,
    ]);
    const { code, message } = await failure(other.head("by-user"));
    expect([code, message.includes("another-secret")]).to.deep.equal(["REFUSED", false]);
    expect(message).to.match(/or the client of oauth2/);
    other.close();
  });

  it("asks for another token when one is taken back or over", async () => {
    const driver = await open();
    await put(driver, "renewed", "content");
    await server.revoke();
    expect(String(await bytesOf(driver, "renewed"))).to.equal("content");
    await server.setValidity(1);
    await server.revoke();
    await driver.stat("renewed");
    await server.setValidity(3600);
    await server.revoke();
    expect(String(await bytesOf(driver, "renewed"))).to.equal("content");
    await driver.close();
  });

  it("fails for a while when no token can be had, and works once it can", async () => {
    const gate = await TcpProxy.start(server.port);
    const late = join(server.folder, "late.json");
    const key = JSON.parse(await readFile(account.keyFile, "utf8")) as Record<string, string>;
    await writeFile(late, JSON.stringify({ ...key, token_uri: `http://127.0.0.1:${gate.port}/token` }));
    gate.mode = "refuse";
    const driver = await open({ gs_service_key_file: late });
    expect(await outcome(driver.stat("renewed"))).to.equal("UNAVAILABLE");
    gate.calm();
    await put(driver, "late", "x");
    await driver.close();
    await gate.stop();
  });

  it("sends again what Google has not taken of a piece, and cancels what its caller gives up", async () => {
    const driver = await open();
    await server.takeAtMost(3 * mebibyte);
    await driver.write("pieces", repeated(block, 20 * mebibyte + 5));
    await server.takeAtMost(undefined);
    expect(await hashOf(await driver.read("pieces"))).to.equal(await hashOf(repeated(block, 20 * mebibyte + 5)));
    const before = await server.uploads();
    const failing = async function* () {
      yield* repeated(block, 20 * mebibyte);
      throw new Error("the client left");
    };
    expect(String(await rejection(driver.write("failed", failing())))).to.contain("the client left");
    expect(await server.uploads()).to.equal(before);
    expect(await exists(driver, "failed")).to.be.false;
    await driver.copy("pieces", "copy of pieces");
    expect((await driver.stat("copy of pieces")).size).to.equal(20 * mebibyte + 5);
    await driver.close();
  });
});
