import { expect } from "chai";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { smallChain } from "../../support/v1-images.ts";
import type { V1Image } from "../../support/v1-client.ts";

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

describe("V1 images that are complete", () => {
  let server: RegistryServer;
  let chain: readonly V1Image[];
  let top: V1Image;
  before(async () => {
    server = await startRegistry();
    chain = await smallChain(3);
    top = chain[2]!;
    await server.client.push("foobar/image", "v1", chain);
  });
  after(async () => {
    await server.close();
  });

  it("are pulled byte for byte", async () => {
    const pulled = await server.client.pull("foobar/image", "v1");
    expect(pulled.map((image) => image.id)).to.deep.equal(chain.map((image) => image.id));
    for (const [index, image] of pulled.entries()) expect(image.json.equals(chain[index]!.json)).to.equal(true);
  });

  it("may be cached for a year", async () => {
    const { headers } = await server.client.expect([200], "GET", `/v1/images/${top.id}/json`);
    expect(headers["cache-control"]).to.equal("public, max-age=31536000");
    expect(headers["last-modified"]).to.equal("Thu, 01 Jan 1970 00:00:00 GMT");
    expect(headers["pragma"]).to.equal(undefined);
    expect(Date.parse(headers["expires"]!)).to.be.greaterThan(Date.now() + 364 * 86_400_000);
    expect(headers["content-type"]).to.equal("application/json");
  });

  it("tell size and checksum, under both names that it had", async () => {
    const { headers } = await server.client.expect([200], "GET", `/v1/images/${top.id}/json`);
    const layer = await server.client.expect([200], "GET", `/v1/images/${top.id}/layer`);
    expect(headers["x-docker-size"]).to.equal(String(layer.body.length));
    expect(headers["x-docker-checksum-payload"]).to.match(/^sha256:[0-9a-f]{64}$/);
    expect(headers["x-docker-payload-checksum"]).to.equal(headers["x-docker-checksum-payload"]);
  });

  it("tell their ancestry from the top, as Python wrote it", async () => {
    const { body } = await server.client.expect([200], "GET", `/v1/images/${top.id}/ancestry`);
    expect(body.toString()).to.equal(`["${chain[2]!.id}", "${chain[1]!.id}", "${chain[0]!.id}"]`);
  });

  it("answer HEAD as GET, without the body", async () => {
    for (const document of ["json", "ancestry", "layer", "files"]) {
      const got = await server.client.expect([200], "GET", `/v1/images/${top.id}/${document}`);
      const head = await server.client.expect([200], "HEAD", `/v1/images/${top.id}/${document}`);
      expect(head.body).to.have.length(0);
      expect(head.headers["content-length"], document).to.equal(String(got.body.length));
      expect(head.headers["content-type"]).to.equal(got.headers["content-type"]);
    }
  });

  it("list the files of their layer, and what it changed", async () => {
    const files = await server.client.expect([200], "GET", `/v1/images/${top.id}/files`);
    expect(files.body.toString()).to.equal('[["/file-2", "f", false, 2000, 1400000000, 420, 0, 0]]');
    const diff = await server.client.expect([200], "GET", `/v1/images/${top.id}/diff`);
    expect(JSON.parse(diff.body.toString())).to.deep.equal({
      changed: {},
      created: { "/file-2": ["f", false, 2000, 1_400_000_000, 420, 0, 0] },
      deleted: {},
    });
  });

  for (const range of ["bytes=0-9", "bytes=5-", "bytes=0-0", "bytes=1-1", "bytes=-5", "bytes=2-99999999"]) {
    it(`answer a layer's ${range} with 206 and exactly that`, async () => {
      const path = `/v1/images/${top.id}/layer`;
      const whole = (await server.client.expect([200], "GET", path)).body;
      const part = await server.client.expect([206], "GET", path, { headers: { Range: range } });
      const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(range)!;
      const start = first === "" ? whole.length - Number(last) : Number(first);
      const end = first === "" || last === "" ? whole.length : Math.min(Number(last) + 1, whole.length);
      expect(part.body.equals(whole.subarray(start, end))).to.equal(true);
      expect(part.headers["content-range"]).to.equal(`bytes ${start}-${end - 1}/${whole.length}`);
      expect(part.headers["content-length"]).to.equal(String(end - start));
    });
  }

  it("answer docker's resume of a layer that it has whole with an empty 416", async () => {
    const path = `/v1/images/${top.id}/layer`;
    const size = (await server.client.expect([200], "GET", path)).body.length;
    const answer = await server.client.send("GET", path, { headers: { Range: `bytes=${size}-${size}` } });
    expect(answer.status).to.equal(416);
    expect(answer.headers["content-length"]).to.equal("0");
    expect(answer.body).to.have.length(0);
  });

  it("answer an unreadable Range with everything", async () => {
    for (const range of ["abc", "bytes=a-b", "items=0-5", "bytes=0-1,3-4", "bytes=", "bytes=10-5"]) {
      await server.client.expect([200], "GET", `/v1/images/${top.id}/layer`, { headers: { Range: range } });
    }
  });

  it("answer 304 to whoever has a copy", async () => {
    for (const document of ["json", "ancestry", "layer", "files", "diff"]) {
      const answer = await server.client.send("GET", `/v1/images/${top.id}/${document}`, {
        headers: { "If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT", Range: "bytes=0-1" },
      });
      expect(answer.status, document).to.equal(304);
      expect(answer.headers["last-modified"]).to.equal(undefined);
    }
  });

  it("are not pushed again", async () => {
    const path = `/v1/images/${top.id}`;
    const put = await server.client.send("PUT", `${path}/json`, { body: top.json });
    expect([put.status, put.body.toString()]).to.deep.equal([409, '{"error": "Image already exists"}']);
    const layer = await server.client.send("PUT", `${path}/layer`, { body: Buffer.from("x") });
    expect([layer.status, layer.body.toString()]).to.deep.equal([409, '{"error": "Image already exists"}']);
    const checksum = await server.client.send("PUT", `${path}/checksum`, {
      headers: { "X-Docker-Checksum-Payload": "sha256:0" },
    });
    expect([checksum.status, checksum.body.toString()]).to.deep.equal([
      409,
      '{"error": "Cannot set this image checksum"}',
    ]);
  });

  it("are found by the search of docker", async () => {
    const { body } = await server.client.expect([200], "GET", "/v1/search?q=foobar");
    expect(JSON.parse(body.toString())).to.have.property("query", "foobar");
  });

  it("are hidden behind private_images without a token of a private repository", async () => {
    const path = `/v1/private_images/${top.id}`;
    const token = (repository: string) => ({
      headers: { Authorization: `Token signature=A,repository="${repository}",access=read` },
    });
    for (const document of ["json", "layer", "files"]) {
      const anonymous = await server.client.send("GET", `${path}/${document}`);
      expect([anonymous.status, anonymous.body.toString()]).to.deep.equal([404, '{"error": "Image not found"}']);
      expect((await server.client.send("GET", `${path}/${document}`, token("foobar/image"))).status).to.equal(404);
    }
    await server.client.expect([200], "PUT", "/v1/repositories/secret/one/properties", {
      body: json({ access: "private" }),
    });
    for (const document of ["json", "layer", "files"]) {
      await server.client.expect([200], "GET", `${path}/${document}`, token("secret/one"));
    }
  });
});
