import { readFile } from "node:fs/promises";
import { Storage } from "@google-cloud/storage";
import { expect } from "chai";
import { openGcs } from "../../../../src/drivers/storage/gcs.ts";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { GoogleServer, googleSettings } from "../../../support/gcs-server.ts";
import { until } from "../../../support/program.ts";
import { bytesOf, hashOf, namesOf, put, repeated, textOf } from "../../../support/storage-content.ts";

const mebibyte = 1_048_576;
const block = Buffer.alloc(65_536, "library ");

describe("Google's own library and storage gcs", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  let driver: StorageDriver;
  let server: GoogleServer;
  let bucket: ReturnType<Storage["bucket"]>;

  before(async () => {
    server = await GoogleServer.start();
    atEnd(() => server.stop());
    const { bucket: name, account } = await server.newStore();
    driver = await openGcs(googleSettings(server, name, account));
    atEnd(() => driver.close());
    const credentials = JSON.parse(await readFile(account.keyFile, "utf8")) as Record<string, string>;
    const storage = new Storage({
      projectId: "test",
      apiEndpoint: server.url,
      useAuthWithCustomEndpoint: true,
      credentials,
    });
    const client = await storage.authClient.getClient();
    client.gaxios?.interceptors.request.add({
      resolved: async (config) => {
        if (String(config.url).endsWith("/token")) config.url = server.tokenUri;
        return await Promise.resolve(config);
      },
    });
    bucket = storage.bucket(name);
  });

  it("read what the other has written, in one piece or in many", async () => {
    const content = Buffer.alloc(5 * mebibyte + 17, block);
    const name = "registry/by library/ü+1";
    // The library sends no token for this to a host that isn't Google's.
    const begin = `${server.url}/upload/storage/v1/b/${bucket.name}/o?uploadType=resumable&name=${encodeURIComponent(name)}`;
    const authorization = `Bearer ${(await bucket.storage.authClient.getAccessToken()) ?? ""}`;
    const uri = (await fetch(begin, { method: "POST", headers: { authorization } })).headers.get("location")!;
    await bucket.file(name).save(content, { resumable: true, uri, chunkSize: mebibyte, validation: false });
    expect((await bytesOf(driver, "by library/ü+1")).equals(content)).to.be.true;
    await bucket.file("registry/by library/2").save("small", { resumable: false, validation: false });
    expect(await textOf(driver, "by library/2")).to.equal("small");
    await driver.write("by driver", repeated(block, 20 * mebibyte));
    expect(await hashOf(bucket.file("registry/by driver").createReadStream({ validation: false }))).to.equal(
      await hashOf(repeated(block, 20 * mebibyte)),
    );
    const [part] = await bucket.file("registry/by driver").download({ start: 3, end: 9, validation: false });
    expect(part.equals(block.subarray(3, 10))).to.be.true;
  });

  it("list, copy and delete the same", async () => {
    await put(driver, "names/a", "1");
    await put(driver, "names/b/c", "2");
    const [files] = await bucket.getFiles({ prefix: "registry/names/" });
    expect(files.map(({ name }) => name)).to.deep.equal(["registry/names/a", "registry/names/b/c"]);
    await bucket.file("registry/names/a").copy(bucket.file("registry/names/d"));
    expect(await namesOf(driver, "names")).to.deep.equal(["a", "b", "d"]);
    await bucket.file("registry/names/a").delete();
    expect(await namesOf(driver, "names")).to.deep.equal(["b", "d"]);
  });

  it("sign URLs that work for GET and its ranges alone, for a while, and say what the content is", async () => {
    await put(driver, "layer+1 ü", "0123456789");
    const url = (await driver.redirectUrl("layer+1 ü", { seconds: 60, contentType: "application/x-layer" }))!;
    const whole = await fetch(url);
    expect([whole.status, await whole.text(), whole.headers.get("content-type")]).to.deep.equal([200, "0123456789", "application/x-layer"]); // prettier-ignore
    const part = await fetch(url, { headers: { range: "bytes=2-4" } });
    expect([part.status, await part.text()]).to.deep.equal([206, "234"]);
    expect((await fetch(url, { method: "HEAD" })).status).to.equal(403);
    const other = new URL(url);
    other.pathname = other.pathname.replace("layer", "player");
    expect((await fetch(other)).status).to.equal(403);
    const brief = (await driver.redirectUrl("layer+1 ü", { seconds: 1 }))!;
    await until("the URL has expired", async () => (await fetch(brief)).status === 400);
  });
});
