import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expect } from "chai";
import { openS3 } from "../../src/drivers/storage/s3.ts";
import { ContainerTools, needsContainerTools } from "../support/container-tools.ts";
import { endOfSuite } from "../support/end-of-suite.ts";
import { startProxiedBucket } from "../support/proxied-bucket.ts";
import type { RadosGateway } from "../support/radosgw.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { s3Flavor, s3Settings } from "../support/s3-server.ts";
import { source } from "../support/storage-content.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { imageOf, smallChain } from "../support/v1-images.ts";

const mebibyte = 1_048_576;
const size = 1024 * mebibyte;
const block = randomBytes(mebibyte);

describe("a registry on s3", function () {
  this.timeout(300_000);
  let server: RadosGateway;
  let proxy: TcpProxy;
  let registry: RegistryProcess;
  let bucket = "";
  const atEnd = endOfSuite();

  before(async function () {
    ({ server, proxy, bucket } = await startProxiedBucket(this, atEnd));
    registry = await RegistryProcess.start(s3Flavor(server, bucket, proxy.port));
    atEnd(() => registry.remove());
  });

  const open = async (
    method: string,
    path: string,
    headers: Record<string, string | number> = {},
    body: Iterable<Buffer> = [],
  ): Promise<IncomingMessage> => {
    const outgoing = request(new URL(path, registry.url), { method, headers, agent: false });
    const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
    const [[answer]] = await Promise.all([answered, pipeline(Readable.from(body), outgoing)]);
    return answer;
  };

  /** Pushes a blob as docker does: one PATCH, of a length that is not said. */
  async function push(repository: string, digest: string, body: Iterable<Buffer>): Promise<void> {
    const begun = (await open("POST", `/v2/${repository}/blobs/uploads/`, { "content-length": 0 })).resume();
    const patched = (
      await open("PATCH", begun.headers.location ?? "", { "transfer-encoding": "chunked" }, body)
    ).resume();
    expect(patched.statusCode).to.equal(202);
    const end = new URL(patched.headers.location ?? "", registry.url);
    end.searchParams.set("digest", digest);
    expect((await open("PUT", end.href, { "content-length": 0 })).resume().statusCode).to.equal(201);
  }

  it("carries a layer of 1 GiB there and back in less than 200 MB of memory", async () => {
    const hash = createHash("sha256");
    for (let at = 0; at < size; at += mebibyte) hash.update(block);
    const digest = `sha256:${hash.digest("hex")}`;
    await push(
      "large",
      digest,
      Array.from({ length: size / mebibyte }, () => block),
    );
    const answer = await open("GET", `/v2/large/blobs/${digest}`);
    const pulled = createHash("sha256");
    for await (const chunk of answer as AsyncIterable<Buffer>) pulled.update(chunk);
    expect(`sha256:${pulled.digest("hex")}`).to.equal(digest);
    expect(await registry.peakMemory()).to.be.below(200 * mebibyte);
  });

  it("takes what skopeo pushes, and gives it back", async function () {
    needsContainerTools(this, "skopeo");
    const address = `127.0.0.1:${registry.port}`;
    const client = registry.client();
    await client.push("mine/app", "v1", await smallChain(3));
    const tools = await ContainerTools.create({ address, client } as never);
    try {
      await tools.skopeo("copy", `docker://${address}/mine/app:v1`, "dir:pulled");
      await tools.skopeo("copy", "dir:pulled", `docker://${address}/other/app:v2`);
      const digest = async (name: string): Promise<string> =>
        (JSON.parse(await tools.skopeo("inspect", `docker://${address}/${name}`)) as { Digest: string }).Digest;
      expect(await digest("other/app:v2")).to.equal(await digest("mine/app:v1"));
      expect(await client.pull("other/app", "v2")).to.have.length(3);
    } finally {
      await tools.remove();
    }
  });

  it("serves V1 clients, also after a restart", async () => {
    const images = await smallChain(4);
    await registry.client().push("old/app", "latest", images);
    const before = await registry.client().pull("old/app", "latest");
    await registry.kill();
    await registry.restart();
    expect(await registry.client().pull("old/app", "latest")).to.deep.equal(before);
    expect(before.map(({ id }) => id)).to.deep.equal(images.map(({ id }) => id));
  });

  it("sends clients to the bucket for blobs of V2 and layers of V1, but not for HEAD", async () => {
    const content = Buffer.from("0123456789".repeat(1_000));
    const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    await push("redirected", digest, [content]);
    const image = imageOf(content);
    await registry.client().push("redirected/v1", "t", [image]);
    await registry.stop();
    await registry.configure([...s3Flavor(server, bucket, proxy.port), "storage_redirect: true"]);
    await registry.restart();
    for (const path of [`/v2/redirected/blobs/${digest}`, `/v1/images/${image.id}/layer`]) {
      const answer = (await open("GET", path)).resume();
      expect([302, 307], path).to.include(answer.statusCode);
      expect(new URL(answer.headers.location ?? "").port, path).to.equal(String(proxy.port));
      expect(await (await fetch(registry.url + path)).text()).to.equal(content.toString());
      const part = await fetch(registry.url + path, { headers: { range: "bytes=9990-9994" } });
      expect([part.status, await part.text()], path).to.deep.equal([206, "01234"]);
      const head = await fetch(registry.url + path, { method: "HEAD", redirect: "manual" });
      expect([head.status, head.headers.get("content-length")], path).to.deep.equal([200, "10000"]);
    }
  });

  it("lists a page of 10,000 tags by one listing of the bucket", async () => {
    const driver = await openS3(s3Settings(server, bucket));
    const digest = `sha256:${"0".repeat(64)}`;
    const tags = Array.from({ length: 10_000 }, (_, index) => `v${String(index).padStart(5, "0")}`);
    const folder = "docker/registry/v2/repositories/many/_manifests";
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let tag = tags[next++]; tag !== undefined; tag = tags[next++]) {
        await driver.write(`${folder}/tags/${tag}/current/link`, source(digest), digest.length);
      }
    };
    await driver.write(`${folder}/revisions/sha256/${"0".repeat(64)}/link`, source(digest));
    await Promise.all(Array.from({ length: 48 }, lane));
    await driver.close();
    await (await fetch(`${registry.url}/v2/many/tags/list?n=1`)).text();
    for (const last of ["", "v00099", "v04999", "v09899"]) {
      proxy.requests.length = 0;
      const page = await fetch(`${registry.url}/v2/many/tags/list?n=100${last === "" ? "" : `&last=${last}`}`);
      const { tags: found } = (await page.json()) as { readonly tags: readonly string[] };
      const start = last === "" ? 0 : tags.indexOf(last) + 1;
      expect(found).to.deep.equal(tags.slice(start, start + 100));
      const listings = proxy.requests.filter((line) => line.includes("list-type=2") && line.includes("_manifests"));
      expect(listings, proxy.requests.join("\n")).to.have.length(1);
    }
  });
});
