import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { gathered } from "../../support/tar-bytes.ts";
import { imageOf, smallChain, tarOf } from "../../support/v1-images.ts";
import type { V1Image } from "../../support/v1-client.ts";

const payloadOf = (json: Buffer, layer: Buffer) =>
  `sha256:${createHash("sha256").update(json).update("\n").update(layer).digest("hex")}`;

describe("a V1 push", () => {
  let server: RegistryServer;
  beforeEach(async () => {
    server = await startRegistry();
  });
  afterEach(async () => {
    await server.close();
  });

  const put = async (image: V1Image, document: string, body: Buffer, headers = {}) =>
    await server.client.send("PUT", `/v1/images/${image.id}/${document}`, { body, headers });
  const claim = async (image: V1Image, checksum: string) =>
    await put(image, "checksum", Buffer.alloc(0), { "X-Docker-Checksum-Payload": checksum });

  it("serves nothing before the right checksum, and everything after it", async () => {
    const image = imageOf(await tarOf("a", 100));
    const layer = await gathered(image.layer());
    expect((await put(image, "json", image.json)).status).to.equal(200);
    expect((await put(image, "layer", layer)).status).to.equal(200);
    expect((await claim(image, payloadOf(image.json, Buffer.from("other")))).status).to.equal(400);
    expect((await server.client.send("GET", `/v1/images/${image.id}/layer`)).status).to.equal(400);
    expect((await claim(image, payloadOf(image.json, layer))).status).to.equal(200);
    expect((await server.client.send("GET", `/v1/images/${image.id}/layer`)).body.equals(layer)).to.equal(true);
  });

  it("keeps the last layer that matches when the layer is put several times", async () => {
    const image = imageOf(await tarOf("a", 100));
    const layer = await gathered(image.layer());
    await put(image, "json", image.json);
    await put(image, "layer", Buffer.from("a broken attempt"));
    await put(image, "layer", layer);
    await put(image, "layer", Buffer.from("another"));
    expect((await claim(image, payloadOf(image.json, layer))).status).to.equal(200);
    expect((await server.client.send("GET", `/v1/images/${image.id}/layer`)).body.equals(layer)).to.equal(true);
  });

  it("is complete once its checksum is accepted, although the server was killed before it took the mark away", async () => {
    const folder = await temporaryFolder();
    const killed = await startRegistry({ storage: "local", storage_path: folder });
    try {
      const image = imageOf(await tarOf("a", 100));
      await killed.client.pushImage(image);
      await writeFile(join(folder, "images", image.id, "_inprogress"), "true");
      await killed.client.expect([200], "GET", `/v1/images/${image.id}/layer`);
      const again = await killed.client.send("PUT", `/v1/images/${image.id}/json`, { body: Buffer.from('{"id":1}') });
      expect(again.status).to.equal(400);
      const repeated = await killed.client.send("PUT", `/v1/images/${image.id}/json`, { body: image.json });
      expect(repeated.status).to.equal(409);
    } finally {
      await killed.close();
      await removeFolder(folder);
    }
  });

  it("forgets layers that were put with another JSON", async () => {
    const image = imageOf(await tarOf("a", 100));
    const layer = await gathered(image.layer());
    await put(image, "json", image.json);
    await put(image, "layer", layer);
    const changed = Buffer.from(image.json.toString().replace("curator", "someone"));
    expect((await put(image, "json", changed)).status).to.equal(200);
    expect((await claim(image, payloadOf(image.json, layer))).status).to.equal(400);
    await put(image, "layer", layer);
    expect((await claim(image, payloadOf(changed, layer))).status).to.equal(200);
    expect((await server.client.send("GET", `/v1/images/${image.id}/json`)).body.equals(changed)).to.equal(true);
  });

  it("is repeated from the start after its connection broke", async () => {
    const chain = await smallChain(2);
    const [base] = chain as [V1Image, V1Image];
    await put(base, "json", base.json);
    const broken = await RawConnection.open(
      server.port,
      `PUT /v1/images/${base.id}/layer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    );
    broken.close();
    const truncated = await RawConnection.open(
      server.port,
      `PUT /v1/images/${base.id}/layer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello`,
    );
    truncated.socket.end();
    expect(await truncated.rest()).to.match(/^HTTP\/1.1 400 /);
    expect((await claim(base, payloadOf(base.json, Buffer.from("hello")))).status).to.equal(400);
    await server.client.push("foobar/again", "v1", chain);
    expect(await server.client.pull("foobar/again", "v1")).to.have.length(2);
  });

  it("succeeds for every client that pushes the same image at the same time", async () => {
    const chain = await smallChain(3, 50_000);
    await Promise.all(
      Array.from({ length: 16 }, async (_, client) => {
        await server.connect().push(`foobar/client${client}`, "v1", chain);
      }),
    );
    for (let client = 0; client < 16; client++) {
      expect(await server.client.pull(`foobar/client${client}`, "v1")).to.have.length(3);
    }
  });

  it("of an empty layer gives an empty layer back", async () => {
    const image = imageOf(Buffer.alloc(0));
    await server.client.push("foobar/empty", "v1", [image]);
    const answer = await server.client.expect([200], "GET", `/v1/images/${image.id}/layer`);
    expect(answer.headers["content-length"]).to.equal("0");
    expect((await server.client.send("GET", `/v1/images/${image.id}/files`)).body.toString()).to.equal("[]");
    expect((await server.client.send("GET", `/v1/images/${image.id}/json`)).headers["x-docker-size"]).to.equal("0");
  });

  it("by docker 0.9.1 is held to its tarsum", async () => {
    const old = server.connect({ userAgent: "docker/0.9.1 go/go1.2.1 kernel/3.13 os/linux arch/amd64" });
    const image = imageOf(await tarOf("a", 100));
    const layer = await gathered(image.layer());
    await old.expect([200], "PUT", `/v1/images/${image.id}/json`, { body: image.json });
    await old.expect([200], "PUT", `/v1/images/${image.id}/layer`, { body: layer });
    const checksum = async (value: string) =>
      await old.send("PUT", `/v1/images/${image.id}/checksum`, {
        headers: { "X-Docker-Checksum": value, "X-Docker-Checksum-Payload": "sha256:of the uncompressed tar" },
      });
    expect((await checksum("tarsum+sha256:0")).status).to.equal(400);
    const entry = layer.subarray(512, 612);
    const sum = createHash("sha256")
      .update("name./amode420uid0gid0size100mtime1400000000typeflag0linknameunamegnamedevmajor0devminor0")
      .update(entry)
      .digest("hex");
    const tarsum = `tarsum+sha256:${createHash("sha256").update(image.json).update(sum).digest("hex")}`;
    expect((await checksum(tarsum)).status).to.equal(200);
    const { headers } = await old.expect([200], "GET", `/v1/images/${image.id}/json`);
    expect(headers["x-docker-checksum"]).to.equal(tarsum);
    expect(headers["x-docker-checksum-payload"]).to.equal(payloadOf(image.json, layer));
  });

  it("without a User-Agent, or with an odd one, is one of today's", async () => {
    for (const userAgent of ["", "docker/1", "docker", "curl/8"]) {
      const image = imageOf(await tarOf(`file of ${userAgent}`, 10));
      await server.connect({ userAgent }).push("foobar/odd", "v1", [image]);
    }
  });
});

describe("the limits on V1 bodies", () => {
  let server: RegistryServer;
  before(async () => {
    server = await startRegistry({ http: { max_json_size: 1000, max_layer_size: 5000 } });
  });
  after(async () => {
    await server.close();
  });

  it("refuse a document that is too large", async () => {
    const answer = await server.client.send("PUT", "/v1/repositories/a/b/", { body: Buffer.alloc(1001, " ") });
    expect(answer.status).to.equal(413);
  });

  it("refuse a layer that is too large, with and without a Content-Length, and keep nothing of it", async () => {
    const image = imageOf(await tarOf("a", 6000));
    await server.client.expect([200], "PUT", `/v1/images/${image.id}/json`, { body: image.json });
    const layer = await gathered(image.layer());
    for (const body of [layer, image.layer()]) {
      const answer = await server.client.send("PUT", `/v1/images/${image.id}/layer`, { body });
      expect(answer.status).to.equal(413);
      expect(answer.body.toString()).to.match(/^{"error": "/);
    }
    const claim = await server.client.send("PUT", `/v1/images/${image.id}/checksum`, {
      headers: { "X-Docker-Checksum-Payload": payloadOf(image.json, layer) },
    });
    expect(claim.status).to.equal(400);
  });
});
