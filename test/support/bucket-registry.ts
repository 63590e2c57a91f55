import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expect } from "chai";
import type { Context } from "mocha";
import { succeeds } from "./cli.ts";
import { ContainerTools, needsContainerTools } from "./container-tools.ts";
import { endOfSuite } from "./end-of-suite.ts";
import { RegistryProcess } from "./registry-process.ts";
import { imageOf, smallChain } from "./v1-images.ts";

const mebibyte = 1_048_576;
const size = 1024 * mebibyte;
const block = randomBytes(mebibyte);

/** A storage that a registry keeps its images in. */
export interface BucketStage {
  /** The lines of a flavor that choose it. */
  readonly flavor: readonly string[];
  /** The port that clients are sent to. */
  readonly port: number;
}

/** What differs between kinds of buckets. */
export interface BucketKind {
  /** Tests of this kind alone. */
  readonly more?: (registry: () => RegistryProcess) => void;
  /** Whether clients can be sent to the bucket. */
  readonly redirects?: boolean;
  /** Whether large layers take a way that no other kind shows. */
  readonly large?: boolean;
}

/** What real clients get from a registry that keeps its images in a bucket. */
export function describeRegistryInBucket(
  name: string,
  start: (context: Context, atEnd: (undo: () => Promise<unknown>) => void) => Promise<BucketStage>,
  { more, redirects = true, large = true }: BucketKind = {},
): void {
  describe(name, function () {
    this.timeout(600_000);
    let stage: BucketStage;
    let registry: RegistryProcess;
    const atEnd = endOfSuite();

    before(async function () {
      stage = await start(this, atEnd);
      registry = await RegistryProcess.start(stage.flavor);
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

    if (large)
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
      const tools = await ContainerTools.create({ address, authority: undefined });
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

    if (redirects)
      it("sends clients to the bucket for blobs of V2 and layers of V1, but not for HEAD", async () => {
        const content = Buffer.from("0123456789".repeat(1_000));
        const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
        await push("redirected", digest, [content]);
        const image = imageOf(content);
        await registry.client().push("redirected/v1", "t", [image]);
        await registry.client().push("redirected/app", "t", await smallChain(2));
        await registry.stop();
        await registry.configure([...stage.flavor, "storage_redirect: true"]);
        await registry.restart();
        for (const path of [`/v2/redirected/blobs/${digest}`, `/v1/images/${image.id}/layer`]) {
          const answer = (await open("GET", path)).resume();
          expect([302, 307], path).to.include(answer.statusCode);
          expect(new URL(answer.headers.location ?? "").port, path).to.equal(String(stage.port));
          expect(await (await fetch(registry.url + path)).text()).to.equal(content.toString());
          const part = await fetch(registry.url + path, { headers: { range: "bytes=9990-9994" } });
          expect([part.status, await part.text()], path).to.deep.equal([206, "01234"]);
          const head = await fetch(registry.url + path, { method: "HEAD", redirect: "manual" });
          expect([head.status, head.headers.get("content-length")], path).to.deep.equal([200, "10000"]);
        }
        expect(await succeeds(["ls", "redirected/app", "--url", registry.url])).to.match(/^t +sha256:\w+ +image /m);
      });

    more?.(() => registry);
  });
}
