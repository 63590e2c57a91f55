import { expect } from "chai";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { parseDigest } from "../../../src/server/registry/digest.ts";
import { parseOciName } from "../../../src/server/registry/oci-names.ts";
import { blobServer, bodyOf, bytesOf, keysOf, type BlobServer } from "../../support/blob-server.ts";
import { digestOf } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

const content = Buffer.from("0123456789");
const digest = digestOf(content);
const digest512 = digestOf(content, "sha512");
const absent = digestOf("absent");
const etag = `"${digest}"`;
const ours = parseOciName("ours/deep/er");

const stores: Readonly<Record<string, (folder: string) => Promise<StorageDriver>>> = {
  memory: async () => await Promise.resolve(openMemory()),
  local: openLocal,
};

for (const [kind, open] of Object.entries(stores)) {
  describe(`V2 blobs over ${kind} storage`, () => {
    let folder: string;
    let driver: StorageDriver;
    let server: BlobServer;

    before(async () => {
      folder = await temporaryFolder();
      driver = await open(folder);
      server = await blobServer(driver);
      for (const text of [digest, digest512]) {
        await server.core.uploads.put(ours, parseDigest(text), { source: bodyOf(content) });
      }
      await server.core.uploads.put(ours, parseDigest(digestOf("")), { source: bodyOf() });
    });

    after(async () => {
      await server.close();
      await driver.close();
      await removeFolder(folder);
    });

    const blob = `/v2/ours/deep/er/blobs/${digest}`;
    const whole = {
      "docker-content-digest": digest,
      "content-length": "10",
      "accept-ranges": "bytes",
      etag,
      "content-type": "application/octet-stream",
      "cache-control": "max-age=31536000, immutable",
    };
    const rows: readonly {
      readonly section: string;
      readonly method?: string;
      readonly path?: string;
      readonly send?: Record<string, string>;
      readonly status: number;
      readonly headers?: Record<string, string | undefined>;
      readonly body?: string;
      readonly code?: string;
    }[] = [
      { section: "end-2", status: 200, headers: whole, body: "0123456789" },
      { section: "end-2", method: "HEAD", status: 200, headers: whole, body: "" },
      {
        section: "end-2, sha512",
        path: `/v2/ours/deep/er/blobs/${digest512}`,
        status: 200,
        headers: { "docker-content-digest": digest512 },
        body: "0123456789",
      },
      { section: "end-2, empty", path: `/v2/ours/deep/er/blobs/${digestOf("")}`, status: 200, body: "" },
      { section: "end-2, encoded", path: blob.replace("sha256:", "sha256%3A"), status: 200, body: "0123456789" },
      { section: "end-2, absent", path: `/v2/ours/deep/er/blobs/${absent}`, status: 404, code: "BLOB_UNKNOWN" },
      { section: "end-2, absent", method: "HEAD", path: `/v2/ours/deep/er/blobs/${absent}`, status: 404 },
      { section: "end-2, elsewhere", path: `/v2/theirs/blobs/${digest}`, status: 404, code: "BLOB_UNKNOWN" },
      { section: "end-2, part of a name", path: `/v2/ours/deep/blobs/${digest}`, status: 404, code: "BLOB_UNKNOWN" },
      { section: "end-2, digest", path: "/v2/ours/deep/er/blobs/sha256:0", status: 400, code: "DIGEST_INVALID" },
      { section: "end-2, digest", path: "/v2/ours/deep/er/blobs/latest", status: 400, code: "DIGEST_INVALID" },
      { section: "end-2, digest", path: `/v2/ours/deep/er/blobs/md5:${"0".repeat(32)}`, status: 400 },
      { section: "end-2, digest", path: blob.replace("sha256", "sha512"), status: 400, code: "DIGEST_INVALID" },
      { section: "end-2, name", path: `/v2/Ours/blobs/${digest}`, status: 400, code: "NAME_INVALID" },
      { section: "If-None-Match", send: { "if-none-match": etag }, status: 304, headers: { etag }, body: "" },
      { section: "If-None-Match", send: { "if-none-match": `"a", W/${etag}` }, status: 304, body: "" },
      { section: "If-None-Match", send: { "if-none-match": "*" }, status: 304, body: "" },
      { section: "If-None-Match", send: { "if-none-match": '"other"' }, status: 200, body: "0123456789" },
      {
        section: "Range",
        send: { range: "bytes=2-4" },
        status: 206,
        headers: { ...whole, "content-length": "3", "content-range": "bytes 2-4/10" },
        body: "234",
      },
      { section: "Range", send: { range: "bytes=-2" }, status: 206, body: "89" },
      { section: "Range", send: { range: "bytes=7-" }, status: 206, body: "789" },
      { section: "Range", send: { range: "bytes=2-4", "if-range": etag }, status: 206, body: "234" },
      { section: "Range", send: { range: "bytes=2-4", "if-range": '"x"' }, status: 200, body: "0123456789" },
      {
        section: "Range",
        send: { range: "bytes=10-" },
        status: 416,
        headers: { "content-range": "bytes */10" },
        body: "",
      },
      { section: "Ranges", send: { range: "bytes=20-21, 30-31" }, status: 416, body: "" },
      { section: "Ranges, more than all", send: { range: "bytes=0-9,0-9" }, status: 200, body: "0123456789" },
      { section: "Ranges, malformed", send: { range: "bytes=0-1,x" }, status: 200, body: "0123456789" },
      { section: "Ranges, HEAD", method: "HEAD", send: { range: "bytes=0-1,3-4" }, status: 200, headers: whole },
    ];
    for (const { section, method = "GET", path = blob, send = {}, status, headers = {}, body, code } of rows) {
      it(`${section}: ${method} …${path.slice(-14)} ${JSON.stringify(send)} answers ${status}`, async () => {
        const answer = await server.client.send(method, path, { headers: send });
        expect(answer.status).to.equal(status);
        expect(answer.headers).to.deep.include(headers);
        if (body !== undefined) expect(answer.body.toString()).to.equal(body);
        if (code !== undefined)
          expect(JSON.parse(answer.body.toString())).to.have.nested.property("errors[0].code", code);
        if (status >= 400 && code !== undefined) expect(answer.headers.etag).to.equal(undefined);
        expect(server.faults).to.deep.equal([]);
      });
    }

    it("answers several ranges as multipart (RFC 9110, 14.6)", async () => {
      const answer = await server.client.send("GET", blob, { headers: { range: "bytes=0-1, 4-5,99-,-1" } });
      expect(answer.status).to.equal(206);
      const [, boundary = ""] =
        /^multipart\/byteranges; boundary=(.+)$/.exec(answer.headers["content-type"] ?? "") ?? [];
      expect(answer.headers["content-length"]).to.equal(String(answer.body.length));
      const part = (range: string, bytes: string): string =>
        `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${range}/10\r\n\r\n${bytes}`;
      expect(answer.body.toString()).to.equal(
        `${part("0-1", "01")}${part("4-5", "45")}${part("9-9", "9")}\r\n--${boundary}--\r\n`,
      );
    });

    it("deletes a blob from its repository alone (end-10)", async () => {
      await server.core.linkedBlobs.mount(parseOciName("other"), parseDigest(digest), ours);
      const deleted = await server.client.send("DELETE", `/v2/other/blobs/${digest}`);
      expect([deleted.status, deleted.body.length]).to.deep.equal([202, 0]);
      expect((await server.client.send("HEAD", `/v2/other/blobs/${digest}`)).status).to.equal(404);
      expect((await server.client.send("GET", blob)).body.equals(content)).to.equal(true);
      const again = await server.client.send("DELETE", `/v2/other/blobs/${digest}`);
      expect(again.status).to.equal(404);
      expect(again.body.toString()).to.include("BLOB_UNKNOWN");
      expect((await server.client.send("DELETE", "/v2/other/blobs/sha256:zz")).status).to.equal(400);
    });

    it("keeps links and content where CNCF Distribution does", async () => {
      const hex = digest.slice(7);
      const link = `docker/registry/v2/repositories/ours/deep/er/_layers/sha256/${hex}/link`;
      expect((await bytesOf(await driver.read(link))).toString()).to.equal(digest);
      expect(await keysOf(driver)).to.include(`docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`);
    });

    it("says that a blob whose content is lost is unknown", async () => {
      const lost = digestOf("lost");
      await server.core.linkedBlobs.link(ours, parseDigest(lost));
      const answer = await server.client.send("GET", `/v2/ours/deep/er/blobs/${lost}`);
      expect(answer.status).to.equal(404);
    });
  });
}

describe("V2 blobs that others send", () => {
  let folder: string;
  let driver: StorageDriver;
  before(async () => {
    folder = await temporaryFolder();
    driver = await openLocal(folder);
  });
  after(async () => {
    await driver.close();
    await removeFolder(folder);
  });

  const nobody = { xAccelPrefix: undefined, xSendfile: false, redirect: false };
  const path = `docker/registry/v2/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`;
  const rows = [
    { offload: { ...nobody, xAccelPrefix: "/_store/" }, header: "x-accel-redirect", value: () => `/_store/${path}` },
    { offload: { ...nobody, xSendfile: true }, header: "x-sendfile", value: () => `${folder}/${path}` },
    { offload: { ...nobody, redirect: true }, header: "location", value: () => "https://store.example/x" },
  ] as const;
  for (const { offload, header, value } of rows) {
    it(`are handed over by ${header}, but for HEAD`, async () => {
      const redirecting: StorageDriver = Object.assign(Object.create(driver) as StorageDriver, {
        redirectUrl: async () => await Promise.resolve(new URL("https://store.example/x")),
        ...Object.fromEntries(
          (["read", "write", "stat", "list", "move", "delete", "localPath"] as const).map((name) => [
            name,
            (...args: never[]) => (driver[name] as (...args: never[]) => unknown).apply(driver, args),
          ]),
        ),
      });
      const server = await blobServer(redirecting, { offload });
      await server.core.uploads.put(ours, parseDigest(digest), { source: bodyOf(content) });
      const got = await server.client.send("GET", `/v2/ours/deep/er/blobs/${digest}`);
      expect(got.headers[header]).to.equal(value());
      expect(got.headers["docker-content-digest"]).to.equal(digest);
      expect(got.body.toString()).not.to.include("0123");
      const head = await server.client.send("HEAD", `/v2/ours/deep/er/blobs/${digest}`);
      expect(head.status).to.equal(200);
      expect(head.headers["content-length"]).to.equal("10");
      await server.close();
    });
  }
});
