import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer as createHttp } from "node:http";
import { connect as connectTcp, type AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { openS3, s3Tuning } from "../../../../src/drivers/storage/s3.ts";
import { connect } from "../../../../src/drivers/storage/s3/connect.ts";
import { selfSigned } from "../../../support/certificate.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { needs } from "../../../support/needs.ts";
import { startProxiedBucket } from "../../../support/proxied-bucket.ts";
import type { RadosGateway } from "../../../support/radosgw.ts";
import { s3Settings } from "../../../support/s3-server.ts";
import { bytesOf, hashOf, namesOf, outcome, put, repeated, source } from "../../../support/storage-content.ts";
import type { TcpProxy } from "../../../support/tcp-proxy.ts";
import { removeFolder, temporaryFolder, until } from "../../../support/program.ts";

const mebibyte = 1_048_576;
const block = Buffer.alloc(65_536, "requests ");

describe("what s3 asks of a server", function () {
  this.timeout(180_000);
  let server: RadosGateway;
  let proxy: TcpProxy;
  let driver: StorageDriver;
  let bucket = "";
  const atEnd = endOfSuite();

  before(async function () {
    ({ server, proxy, bucket } = await startProxiedBucket(this, atEnd));
    driver = await openS3(s3Settings(server, bucket, proxy.port), { copyLimit: 6 * mebibyte, copyPart: 5 * mebibyte });
    atEnd(() => driver.close());
  });

  beforeEach(() => {
    proxy.requests.length = 0;
  });

  /** What was asked, without the bucket, the query's values and what opening the driver begins with. */
  const asked = (): readonly string[] =>
    proxy.requests
      .filter((line) => !line.includes("?uploads&"))
      .map((line) => line.replace(`/${bucket}`, "").replace(/=[^&]*/g, ""));

  it("keeps everything below the prefix", async () => {
    await put(driver, "a/b", "content");
    const names: unknown[] = [];
    for await (const item of server.client().listObjectsV2(bucket, "", true))
      names.push((item as { name: string }).name);
    expect(names).to.deep.equal(["registry/a/b"]);
    const bare = await openS3({ ...s3Settings(server, bucket), storage_path: "/" });
    expect(String(await bytesOf(bare, "registry/a/b"))).to.equal("content");
    await bare.close();
    await driver.delete("a/b");
  });

  it("stores what fits into a part by one request, and more in parts", async () => {
    await driver.write("small", repeated(block, 5 * mebibyte), 5 * mebibyte);
    await driver.write("small", source("unknown ", "size"));
    expect(asked()).to.deep.equal(["PUT /registry/small", "PUT /registry/small"]);
    proxy.requests.length = 0;
    await driver.write("large", repeated(block, 20 * mebibyte));
    const part = "PUT /registry/large?partNumber&uploadId";
    expect(asked().map((line) => line.replace("uploadId&partNumber", "partNumber&uploadId"))).to.deep.equal([
      "POST /registry/large?uploads",
      part,
      part,
      part,
      "POST /registry/large?uploadId",
      "HEAD /registry/large",
    ]);
  });

  it("copies what is too large for one request in parts, and the rest at once", async () => {
    await driver.write("ä b+c/large", repeated(block, 17 * mebibyte + 3));
    proxy.requests.length = 0;
    await driver.copy("ä b+c/large", "copy of large");
    expect(asked().filter((line) => line.includes("partNumber"))).to.have.length(4);
    expect(await hashOf(await driver.read("copy of large"))).to.equal(await hashOf(repeated(block, 17 * mebibyte + 3)));
    await driver.move("copy of large", "moved");
    expect(await outcome(driver.stat("copy of large"))).to.equal("NOT_FOUND");
    expect((await driver.stat("moved")).size).to.equal(17 * mebibyte + 3);
    await put(driver, "small", "small");
    proxy.requests.length = 0;
    await driver.copy("small", "copy");
    expect(asked()).to.deep.equal(["HEAD /registry/small", "PUT /registry/copy"]);
  });

  it("lists a page of names by one request, wherever it begins", async () => {
    const names = Array.from({ length: 300 }, (_, index) => `v${1000 + index}`);
    await Promise.all(names.map(async (name) => { await put(driver, `tags/${name}/current/link`, name); })); // prettier-ignore
    for (const after of [undefined, "v1000", "v1150", "v1298"]) {
      proxy.requests.length = 0;
      const page: string[] = [];
      for await (const name of driver.children("tags", after)) if (page.push(name) === 100) break;
      const rest = names.filter((name) => after === undefined || name > after);
      expect(page).to.deep.equal(rest.slice(0, 100));
      expect(asked()).to.have.length(1);
    }
  });

  it("lists what is behind pages of objects that stand for folders", async () => {
    const small = await openS3(s3Settings(server, bucket), { pageSize: 2 });
    for (const name of ["a/x", "b/", "c/", "d/", "e/", "f/y"]) {
      await server.client().putObject(bucket, `registry/marked/${name}`, "");
    }
    const keys: string[] = [];
    for await (const { key } of small.list("marked")) if (keys.push(key) > 2) break;
    expect(keys).to.deep.equal(["marked/a/x", "marked/f/y"]);
    await small.close();
  });

  it("asks for a folder that belongs before the names of a page and stands behind it, once", async () => {
    const small = await openS3(s3Settings(server, bucket, proxy.port), { pageSize: 4 });
    const names = ["1", "1-a", "1-b", "1.0", "1.0-rc", "1.0.1", "1.0.2", "1.1", "10", "2-x", "2.0", "2.1", "2.2", "2.3", "3"]; // prettier-ignore
    await Promise.all(names.map(async (name) => { await put(driver, `versions/${name}/link`, name); })); // prettier-ignore
    expect(await namesOf(small, "versions")).to.deep.equal(names);
    const asking = asked().filter((line) => line.startsWith("GET") && !line.includes("delimiter"));
    expect(asking.length).to.be.below(8);
    for (const after of names) {
      expect(await namesOf(small, "versions", after)).to.deep.equal(names.filter((name) => name > after));
    }
    await small.close();
  });

  it("signs URLs that work for GET and its ranges alone, for a while, and say what the content is", async () => {
    await put(driver, "layer+1", "0123456789");
    const url = (await driver.redirectUrl("layer+1", { seconds: 60, contentType: "application/x-layer" }))!;
    const whole = await fetch(url);
    expect([whole.status, await whole.text(), whole.headers.get("content-type")]).to.deep.equal([200, "0123456789", "application/x-layer"]); // prettier-ignore
    const part = await fetch(url, { headers: { range: "bytes=2-4" } });
    expect([part.status, await part.text(), part.headers.get("content-range")]).to.deep.equal([206, "234", "bytes 2-4/10"]); // prettier-ignore
    expect((await fetch(url, { headers: { range: "bytes=10-" } })).status).to.equal(416);
    expect((await fetch(url, { method: "HEAD" })).status).to.equal(403);
    const other = new URL(url);
    other.pathname = other.pathname.replace("layer", "player");
    expect((await fetch(other)).status).to.equal(403);
    const brief = (await driver.redirectUrl("layer+1", { seconds: 1 }))!;
    await until("the URL has expired", async () => (await fetch(brief)).status === 403);
  });

  it("uses the same few connections again, and none once it is closed", async () => {
    const own = await openS3(s3Settings(server, bucket, proxy.port));
    const before = proxy.connections;
    for (let time = 0; time < 50; time++) await own.stat("small");
    expect(proxy.connections - before).to.be.below(2);
    await Promise.all(Array.from({ length: 40 }, async () => await own.stat("small")));
    await own.close();
    await until("its connections are closed", () => proxy.connections <= before);
  });

  it("lets the server encrypt where that is asked for", async () => {
    const encrypting = await openS3({ ...s3Settings(server, bucket), s3_encrypt: true });
    await encrypting.write("encrypted", repeated(block, 9 * mebibyte));
    await encrypting.copy("encrypted", "encrypted too");
    expect((await encrypting.stat("encrypted too")).size).to.equal(9 * mebibyte);
    await encrypting.close();
  });

  it("asks for encryption with what it stores, in parts too, and only where that is asked for", async () => {
    const seen: string[] = [];
    const listening = createHttp((request, response) => {
      const { method, url = "", headers } = request.resume();
      const isNew = method === "PUT" ? !url.includes("partNumber=") : method === "POST" && url.endsWith("uploads");
      if (isNew) seen.push(`${method ?? ""} ${String(headers["x-amz-server-side-encryption"])}`);
      response.setHeader("etag", '"0"');
      response.end("<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>");
    });
    listening.listen(0, "127.0.0.1");
    await once(listening, "listening");
    for (const s3_encrypt of [true, false]) {
      const settings = { ...s3Settings(server, bucket, (listening.address() as AddressInfo).port), s3_encrypt };
      const own = await openS3(settings, { attempts: 1 });
      for (const size of [1, 9 * mebibyte]) await own.write("key", repeated(block, size)).catch(() => undefined);
      await own.close();
    }
    listening.close();
    expect(seen).to.deep.equal(["PUT AES256", "POST AES256", "PUT undefined", "POST undefined"]);
  });

  it("speaks HTTPS with a server whose authority boto's configuration names, and with no other", async function () {
    needs(this, "openssl");
    const folder = await temporaryFolder("s3-tls");
    const { certificate, key } = await selfSigned(folder, "s3");
    const front = createServer({ cert: await readFile(certificate), key: await readFile(key) }, (socket) => {
      const up = connectTcp(server.port, "127.0.0.1");
      socket
        .on("error", () => up.destroy())
        .pipe(up)
        .pipe(socket);
      up.on("error", () => socket.destroy());
    });
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    const settings = { ...s3Settings(server, bucket, (front.address() as AddressInfo).port), s3_secure: true };
    const boto = join(folder, "boto.cfg");
    try {
      expect(await outcome(openS3(settings, { attempts: 1 }).then(async (own) => { await put(own, "tls", "x").finally(async () => { await own.close(); }); }))).to.equal("UNAVAILABLE"); // prettier-ignore
      for (const trust of [`ca_certificates_file = ${certificate}`, "https_validate_certificates = False"]) {
        await writeFile(boto, `[Boto]\n${trust}\n`);
        const { bucket: secure, transport } = await connect(settings, s3Tuning({}), [boto]);
        await secure.put("tls", Buffer.from(trust));
        expect((await secure.ask({ method: "GET", key: "tls" })).text).to.equal(trust);
        transport.close();
      }
    } finally {
      front.close();
      await removeFolder(folder);
    }
  });
});
