import { expect } from "chai";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { blobServer, bodyOf, keysOf, type BlobServer } from "../../support/blob-server.ts";
import { digestOf } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import { startRegistry } from "../../support/registry-server.ts";
import type { Answer, RequestParts } from "../../support/v1-client.ts";

const stores: Readonly<Record<string, (folder: string) => Promise<StorageDriver>>> = {
  memory: async () => await Promise.resolve(openMemory()),
  local: openLocal,
};
const none = Buffer.alloc(0);
const unknownId = "0".repeat(70);

function codeOf(answer: Answer): unknown {
  const { errors } = JSON.parse(answer.body.toString()) as { errors: readonly { code: string }[] };
  return errors[0]?.code;
}

for (const [kind, open] of Object.entries(stores)) {
  describe(`V2 uploads over ${kind} storage`, () => {
    let folder: string;
    let driver: StorageDriver;
    let server: BlobServer;

    beforeEach(async () => {
      folder = await temporaryFolder();
      driver = await open(folder);
      server = await blobServer(driver, { maxSize: 100 });
    });

    afterEach(async () => {
      await server.close();
      await driver.close();
      await removeFolder(folder);
    });

    async function send(method: string, path: string, parts: RequestParts = { body: none }): Promise<Answer> {
      return await server.client.send(method, path, parts);
    }

    /** Begins an upload and answers its location. */
    async function begin(name = "a/b", query = ""): Promise<string> {
      const answer = await send("POST", `/v2/${name}/blobs/uploads/${query}`);
      expect(answer.status).to.equal(202);
      return answer.headers.location ?? "";
    }

    async function patch(location: string, text: string, range?: string): Promise<Answer> {
      const headers = range === undefined ? {} : { "Content-Range": range };
      return await send("PATCH", location, { headers, body: Buffer.from(text) });
    }

    async function put(
      location: string,
      digest: string,
      body: string | AsyncIterable<Uint8Array> = "",
    ): Promise<Answer> {
      return await send("PUT", `${location}?digest=${encodeURIComponent(digest)}`, {
        body: typeof body === "string" ? Buffer.from(body) : body,
      });
    }

    async function expectBlob(text: string, { name = "a/b", digest = digestOf(text) } = {}): Promise<void> {
      const got = await send("GET", `/v2/${name}/blobs/${digest}`);
      expect([got.status, got.body.toString()]).to.deep.equal([200, text]);
      expect(await keysOf(driver, "_registryctl/uploads"), "nothing is left of the upload").to.deep.equal([]);
      expect(server.faults).to.deep.equal([]);
    }

    for (const slash of ["/", ""]) {
      it(`begins an upload at uploads${slash}, and writes nothing for it but the secret (end-4a)`, async () => {
        const answer = await send("POST", `/v2/a/b/blobs/uploads${slash}`);
        expect(answer.status).to.equal(202);
        const id = String(answer.headers["docker-upload-uuid"]);
        expect(answer.headers).to.include({
          location: `/v2/a/b/blobs/uploads/${id}`,
          range: "0-0",
          "content-length": "0",
        });
        expect(Number(answer.headers["oci-chunk-min-length"])).to.be.greaterThan(0);
        await begin();
        expect(await keysOf(driver)).to.have.length(1);
      });
    }

    it("takes a blob in one PUT (end-6)", async () => {
      const digest = digestOf("hello");
      const answer = await put(await begin(), digest, "hello");
      expect(answer.status).to.equal(201);
      expect(answer.headers).to.include({
        location: `/v2/a/b/blobs/${digest}`,
        "docker-content-digest": digest,
        "content-length": "0",
      });
      await expectBlob("hello");
    });

    it("takes a blob in one POST (end-4b)", async () => {
      const digest = digestOf("hello");
      const answer = await send("POST", `/v2/a/b/blobs/uploads/?digest=${digest}`, { body: Buffer.from("hello") });
      expect(answer.status).to.equal(201);
      expect(answer.headers).to.include({ location: `/v2/a/b/blobs/${digest}`, "docker-content-digest": digest });
      await expectBlob("hello");
    });

    it("takes what docker sends: one streamed PATCH, an empty PUT (end-5, end-6)", async () => {
      const location = await begin();
      const answer = await send("PATCH", location, { body: bodyOf("hel", "lo") });
      expect(answer.status).to.equal(202);
      expect(answer.headers).to.include({ location, range: "0-4", "content-length": "0" });
      expect((await put(location, digestOf("hello"))).status).to.equal(201);
      await expectBlob("hello");
    });

    it("takes chunks with and without Content-Range, and the last one with the PUT (end-5, end-6)", async () => {
      const location = await begin();
      expect((await patch(location, "abc", "0-2")).headers.range).to.equal("0-2");
      expect((await patch(location, "de")).headers.range).to.equal("0-4");
      expect((await patch(location, "f", "bytes 5-5/*")).headers.range).to.equal("0-5");
      const status = await send("GET", location);
      expect([status.status, status.headers.range, status.headers.location]).to.deep.equal([204, "0-5", location]);
      expect((await put(location, digestOf("abcdefgh"), bodyOf("g", "h"))).status).to.equal(201);
      await expectBlob("abcdefgh");
    });

    for (const algorithm of ["sha256", "sha512"]) {
      for (const query of ["", "?digest-algorithm=sha512"]) {
        it(`takes ${algorithm} in every form when begun with "${query}" (end-4c)`, async () => {
          const text = "content";
          const digest = digestOf(text, algorithm);
          const whole = await begin("whole", query);
          const streamed = await begin("streamed", query);
          const chunked = await begin("chunked", query);
          await patch(streamed, text);
          await patch(chunked, "cont");
          expect((await put(whole, digest, text)).status).to.equal(201);
          expect((await put(streamed, digest)).status).to.equal(201);
          expect((await put(chunked, digest, "ent")).status).to.equal(201);
          for (const name of ["whole", "streamed", "chunked"]) await expectBlob(text, { name, digest });
        });
      }
    }

    it("refuses an algorithm that it does not know (end-4c)", async () => {
      const answer = await send("POST", "/v2/a/b/blobs/uploads/?digest-algorithm=md5");
      expect([answer.status, codeOf(answer)]).to.deep.equal([400, "DIGEST_INVALID"]);
    });

    it("takes empty blobs in every form", async () => {
      const digest = digestOf("");
      const patched = await begin("patched");
      const answer = await patch(patched, "");
      expect([answer.status, answer.headers.range]).to.deep.equal([202, "0-0"]);
      expect((await put(patched, digest)).status).to.equal(201);
      expect((await put(await begin("whole"), digest, bodyOf())).status).to.equal(201);
      expect((await send("POST", `/v2/posted/blobs/uploads/?digest=${digest}`)).status).to.equal(201);
      for (const name of ["patched", "whole", "posted"]) await expectBlob("", { name });
    });

    const outOfOrder = ["0-2", "2-3", "4-4", "99-99"];
    for (const range of outOfOrder) {
      it(`refuses a chunk at ${range} after three bytes, and says where to go on (end-5)`, async () => {
        const location = await begin();
        await patch(location, "abc");
        const text = range === "0-2" ? "abc" : range === "2-3" ? "cd" : "x";
        for (const answer of [
          await patch(location, text, range),
          await send("PUT", `${location}?digest=${digestOf("abcd")}`, {
            headers: { "Content-Range": range },
            body: Buffer.from(text),
          }),
        ]) {
          expect([answer.status, codeOf(answer)]).to.deep.equal([416, "BLOB_UPLOAD_INVALID"]);
          expect(answer.headers).to.include({ location, range: "0-2" });
        }
        expect((await put(location, digestOf("abc"))).status).to.equal(201);
        await expectBlob("abc");
      });
    }

    const bad = [
      { range: "3", code: "BLOB_UPLOAD_INVALID" },
      { range: "2-1", code: "BLOB_UPLOAD_INVALID" },
      { range: "-5", code: "BLOB_UPLOAD_INVALID" },
      { range: "0-99999999999999999999", code: "BLOB_UPLOAD_INVALID" },
      { range: "0-8", code: "SIZE_INVALID" },
    ];
    for (const { range, code } of bad) {
      it(`refuses "abc" as Content-Range ${range} with ${code} (end-5)`, async () => {
        const location = await begin();
        for (const body of [Buffer.from("abc"), bodyOf("ab", "c")]) {
          const answer = await send("PATCH", location, { headers: { "Content-Range": range }, body });
          expect([answer.status, codeOf(answer)]).to.deep.equal([400, code]);
        }
        expect((await send("GET", location)).headers.range).to.equal("0-0");
        expect(await keysOf(driver, "_registryctl/uploads")).to.deep.equal([]);
      });
    }

    it("refuses content that is not its digest, keeps nothing of it, and lets it be sent again (end-6)", async () => {
      const digest = digestOf("right");
      const [whole, streamed, chunked] = [await begin("whole"), await begin("streamed"), await begin("chunked")];
      await patch(streamed, "right");
      await patch(chunked, "ri");
      for (const answer of [
        await put(whole, digest, "wrong"),
        await put(streamed, digestOf("wrong")),
        await put(streamed, digestOf("wrong", "sha512")),
        await put(chunked, digest, "wrong"),
        await send("POST", `/v2/a/b/blobs/uploads/?digest=${digest}`, { body: Buffer.from("wrong") }),
      ]) {
        expect([answer.status, codeOf(answer)]).to.deep.equal([400, "DIGEST_INVALID"]);
      }
      expect(await keysOf(driver, "docker")).to.deep.equal([]);
      expect((await put(whole, digest, "right")).status).to.equal(201);
      expect((await put(streamed, digest)).status).to.equal(201);
      expect((await put(chunked, digest, "ght")).status).to.equal(201);
      for (const name of ["whole", "streamed", "chunked"]) await expectBlob("right", { name });
    });

    for (const query of [
      "",
      "?digest=",
      "?digest=sha256:12",
      "?digest=abc",
      `?digest=${digestOf("x").toUpperCase()}`,
    ]) {
      it(`refuses a PUT with "${query.slice(0, 18)}" as its digest (end-6)`, async () => {
        const location = await begin();
        const answer = await send("PUT", location + query, { body: Buffer.from("x") });
        expect([answer.status, codeOf(answer)]).to.deep.equal([400, "DIGEST_INVALID"]);
        expect((await send("GET", location)).status).to.equal(204);
      });
    }

    it("mounts a blob of another repository, or of any (end-11)", async () => {
      const digest = digestOf("hello");
      await put(await begin("from"), digest, "hello");
      for (const [name, from] of [
        ["named", "&from=from"],
        ["any", ""],
      ] as const) {
        const answer = await send("POST", `/v2/${name}/blobs/uploads/?mount=${digest}${from}`);
        expect(answer.status).to.equal(201);
        expect(answer.headers).to.include({ location: `/v2/${name}/blobs/${digest}`, "docker-content-digest": digest });
        await expectBlob("hello", { name });
      }
    });

    it("begins an upload where there is nothing to mount (end-11)", async () => {
      const digest = digestOf("hello");
      await put(await begin("from"), digest, "hello");
      for (const query of [
        `mount=${digest}&from=elsewhere`,
        `mount=${digest}&from=No/Name`,
        `mount=${digestOf("absent")}`,
        `mount=${digestOf("absent")}&from=from`,
      ]) {
        expect((await put(await begin("to", `?${query}`), digestOf("more"), "more")).status).to.equal(201);
        expect((await send("HEAD", `/v2/to/blobs/${digest}`)).status).to.equal(404);
      }
      const answer = await send("POST", "/v2/to/blobs/uploads/?mount=sha256:1&from=from");
      expect([answer.status, codeOf(answer)]).to.deep.equal([400, "DIGEST_INVALID"]);
    });

    it("knows no upload that is cancelled, finished, another repository's or invented (end-13, end-14)", async () => {
      const [cancelled, empty, finished, other] = [await begin(), await begin(), await begin(), await begin("other")];
      await patch(cancelled, "abc");
      await patch(finished, "abc");
      for (const location of [cancelled, empty]) expect((await send("DELETE", location)).status).to.equal(204);
      await put(finished, digestOf("abc"));
      const id = other.slice(other.lastIndexOf("/") + 1);
      const flipped = (id.startsWith("0") ? "1" : "0") + id.slice(1);
      for (const location of [
        cancelled,
        empty,
        finished,
        `/v2/a/b/blobs/uploads/${id}`,
        `/v2/other/blobs/uploads/${flipped}`,
        `/v2/other/blobs/uploads/${unknownId}`,
        "/v2/other/blobs/uploads/x",
      ]) {
        for (const [method, query] of [
          ["GET", ""],
          ["PATCH", ""],
          ["PUT", `?digest=${digestOf("abc")}`],
          ["DELETE", ""],
        ] as const) {
          const answer = await send(method, location + query, { body: Buffer.from("abc") });
          expect([method, answer.status, codeOf(answer)]).to.deep.equal([method, 404, "BLOB_UPLOAD_UNKNOWN"]);
        }
      }
      const left = await keysOf(driver, "_registryctl/uploads");
      expect(left.map((key) => key.replace(/.*\//, ""))).to.deep.equal(["cancelled", "cancelled"]);
    });

    it("refuses what is larger than allowed with 413, before and while it comes", async () => {
      const digest = digestOf("x");
      const [location, fresh] = [await begin(), await begin()];
      await patch(location, "a".repeat(60));
      const tooMuch = "b".repeat(41);
      const requests: readonly (readonly [string, string, RequestParts])[] = [
        ["POST", `/v2/a/b/blobs/uploads/?digest=${digest}`, { body: Buffer.alloc(101) }],
        ["PUT", `${fresh}?digest=${digest}`, { body: bodyOf(Buffer.alloc(50), Buffer.alloc(51)) }],
        ["PATCH", location, { body: Buffer.from(tooMuch) }],
        ["PATCH", location, { body: bodyOf(tooMuch) }],
        ["PUT", `${location}?digest=${digest}`, { body: Buffer.from(tooMuch) }],
      ];
      for (const [method, path, parts] of requests) {
        const answer = await send(method, path, parts);
        expect([answer.status, codeOf(answer)]).to.deep.equal([413, "SIZE_INVALID"]);
      }
      const text = `${"a".repeat(60)}${"b".repeat(40)}`;
      expect((await put(location, digestOf(text), "b".repeat(40))).status).to.equal(201);
      await expectBlob(text);
    });

    it("keeps nothing of a client that vanishes, and what was there before (end-5)", async () => {
      const location = await begin();
      await patch(location, "abc");
      for (const [method, query] of [
        ["PATCH", ""],
        ["PUT", `?digest=${digestOf("abcdef")}`],
      ] as const) {
        const connection = await RawConnection.open(
          server.port,
          `${method} ${location}${query} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nde`,
        );
        connection.close();
      }
      await until("nothing to be half there", async () => {
        expect((await send("GET", location)).headers.range).to.equal("0-2");
        return (await keysOf(driver, "_registryctl/uploads")).length === 2;
      });
      expect(await keysOf(driver, "docker")).to.deep.equal([]);
      expect((await put(location, digestOf("abcdef"), "def")).status).to.equal(201);
      await expectBlob("abcdef");
    });

    it("lets one of several PATCHes at the same time win; the others get 416 (end-5)", async () => {
      const location = await begin();
      await patch(location, "start:");
      const texts = ["aaaa", "bb", "cccccc", "d"];
      const answers = await Promise.all(texts.map(async (text) => await patch(location, text)));
      const winners = texts.filter((_, index) => answers[index]?.status === 202);
      // They may also come one after another: whoever got 202 is in the upload.
      const refused = answers.filter(({ status }) => status !== 202);
      expect(winners.length).to.be.greaterThan(0);
      for (const answer of refused) expect([answer.status, codeOf(answer)]).to.deep.equal([416, "BLOB_UPLOAD_INVALID"]);
      const orders = permutations(winners).map((order) => `start:${order.join("")}`);
      const answered = [];
      for (const text of orders) answered.push((await put(location, digestOf(text))).status);
      expect(answered.filter((status) => status === 201)).to.have.length(1);
      expect(answered.indexOf(201)).to.be.greaterThan(-1);
      await expectBlob(orders[answered.indexOf(201)] ?? "");
    });

    it("refuses names that are none", async () => {
      for (const name of ["A", "a..b", "a/", "-a", "x".repeat(256)]) {
        const answer = await send("POST", `/v2/${name}/blobs/uploads/`);
        expect([answer.status, codeOf(answer)]).to.deep.equal([400, "NAME_INVALID"]);
        expect(answer.body.toString()).to.contain("at most 255 characters");
      }
    });
  });
}

function permutations(texts: readonly string[]): readonly (readonly string[])[] {
  if (texts.length === 0) return [[]];
  return texts.flatMap((text, at) => permutations(texts.toSpliced(at, 1)).map((rest) => [text, ...rest]));
}

describe("V2 uploads with a public URL", () => {
  it("tell it in every Location", async () => {
    const server = await blobServer(openMemory(), { base: "https://registry.example" });
    const started = await server.client.send("POST", "/v2/a/blobs/uploads/", { body: none });
    expect(started.headers.location).to.match(/^https:\/\/registry\.example\/v2\/a\/blobs\/uploads\/[0-9a-f]+$/);
    const path = new URL(started.headers.location ?? "").pathname;
    const put = await server.client.send("PUT", `${path}?digest=${digestOf("")}`, { body: none });
    expect(put.headers.location).to.equal(`https://registry.example/v2/a/blobs/${digestOf("")}`);
    await server.close();
  });

  it("tell its path too, as they tell where tokens are given", async () => {
    const server = await startRegistry({ public_url: "https://registry.example/behind/it/" });
    const started = await server.client.send("POST", "/v2/a/blobs/uploads/", { body: none });
    expect(started.headers.location).to.match(
      /^https:\/\/registry\.example\/behind\/it\/v2\/a\/blobs\/uploads\/[0-9a-f]+$/,
    );
    await server.close();
  });
});
