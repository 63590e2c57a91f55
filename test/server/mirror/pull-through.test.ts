import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { expect } from "chai";
import type { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { mirroredRegistry } from "../../support/mirrored-registry.ts";
import { digestOf, imageManifest, imageType, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { until } from "../../support/program.ts";
import type { RegistryServer } from "../../support/registry-server.ts";

const mebibyte = 1024 * 1024;

describe("a mirror", () => {
  const registries = mirroredRegistry("v2");
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryServer;
  let count = 0;

  before(() => {
    ({ source, upstream, mirror } = registries());
  });

  beforeEach(() => {
    upstream.calm();
  });

  /** A blob that the mirror has never seen. */
  async function freshBlob(size = 3 * mebibyte): Promise<{ readonly bytes: Buffer; readonly path: string }> {
    const bytes = Buffer.alloc(size, `blob ${++count} `);
    const { digest } = await pushBlob(source.client, "foo/app", bytes);
    return { bytes, path: `/v2/foo/app/blobs/${digest}` };
  }

  const blobIsKept = async (path: string) => {
    await until("the blob to be kept", async () => {
      const asked = upstream.requests.length;
      const { status } = await mirror.client.send("HEAD", path);
      return status === 200 && upstream.requests.length === asked;
    });
  };

  describe("of manifests", () => {
    it("fetches a tag, asks by HEAD whether it has changed, and fetches what it has become", async () => {
      const first = await pushManifest(
        source.client,
        "foo/app",
        "v1",
        await imageManifest(source.client, "foo/app", "one"),
      );
      for (const wanted of ["GET /v2/foo/app/manifests/v1", "HEAD /v2/foo/app/manifests/v1"]) {
        upstream.calm();
        const { body, headers } = await mirror.client.expect([200], "GET", "/v2/foo/app/manifests/v1");
        expect(body.equals(first.bytes)).to.equal(true);
        expect(headers).to.deep.include({ "docker-content-digest": first.digest, "content-type": imageType });
        expect(upstream.requests).to.deep.equal([wanted]);
      }
      const second = await pushManifest(
        source.client,
        "foo/app",
        "v1",
        await imageManifest(source.client, "foo/app", "two"),
      );
      const changed = await mirror.client.expect([200], "HEAD", "/v2/foo/app/manifests/v1");
      expect(changed.headers["docker-content-digest"]).to.equal(second.digest);
    });

    it("never asks for a digest that is in store", async () => {
      const { digest, bytes } = await pushManifest(source.client, "foo/app", "kept", await imageManifest(source.client, "foo/app", "kept")); // prettier-ignore
      await mirror.client.expect([200], "GET", `/v2/foo/app/manifests/${digest}`);
      upstream.calm();
      const again = await mirror.client.expect([200], "GET", `/v2/foo/app/manifests/${digest}`);
      expect(again.body.equals(bytes)).to.equal(true);
      expect(upstream.requests).to.deep.equal([]);
    });

    it("forgets a tag that is no more upstream, and knows none that never was", async () => {
      await pushManifest(source.client, "foo/app", "gone", await imageManifest(source.client, "foo/app", "gone"));
      await mirror.client.expect([200], "GET", "/v2/foo/app/manifests/gone");
      await source.client.expect([202], "DELETE", "/v2/foo/app/manifests/gone");
      for (const path of ["/v2/foo/app/manifests/gone", "/v2/foo/app/manifests/never", "/v2/never/was/manifests/v1"]) {
        const { body } = await mirror.client.expect([404], "GET", path);
        expect(body.toString()).to.contain("MANIFEST_UNKNOWN");
      }
    });

    it("lists the tags of upstream and its own", async () => {
      await pushManifest(source.client, "foo/tags", "there", await imageManifest(source.client, "foo/tags", "a"));
      await pushManifest(mirror.client, "foo/tags", "here", await imageManifest(mirror.client, "foo/tags", "b"));
      const { body } = await mirror.client.expect([200], "GET", "/v2/foo/tags/tags/list");
      expect(JSON.parse(body.toString())).to.deep.equal({ name: "foo/tags", tags: ["here", "there"] });
    });

    it("serves what was pushed here before what upstream has", async () => {
      await pushManifest(source.client, "foo/own", "v1", await imageManifest(source.client, "foo/own", "theirs"));
      await mirror.client.expect([200], "GET", "/v2/foo/own/manifests/v1");
      const own = await pushManifest(
        mirror.client,
        "foo/own",
        "v1",
        await imageManifest(mirror.client, "foo/own", "ours"),
      );
      upstream.calm();
      const { body } = await mirror.client.expect([200], "GET", "/v2/foo/own/manifests/v1");
      expect(body.equals(own.bytes)).to.equal(true);
      expect(upstream.requests).to.deep.equal([]);
    });

    it("takes a push whose layers upstream alone has", async () => {
      const manifest = await imageManifest(source.client, "foo/built", "base");
      const pushed = await pushManifest(mirror.client, "foo/built", "mine", manifest);
      const { body } = await mirror.client.expect([200], "GET", "/v2/foo/built/manifests/mine");
      expect(digestOf(body)).to.equal(pushed.digest);
    });
  });

  describe("of blobs", () => {
    it("gives the first bytes while the rest is still to come, and keeps the blob", async () => {
      const { bytes, path } = await freshBlob();
      upstream.hold(mebibyte);
      const answer = await mirror.client.open("GET", path);
      expect(answer.headers["content-length"]).to.equal(String(bytes.length));
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      await until("what upstream has sent", () => Buffer.concat(chunks).length === mebibyte);
      expect(upstream.passed).to.equal(mebibyte);
      upstream.release();
      await once(answer, "end");
      expect(Buffer.concat(chunks).equals(bytes)).to.equal(true);
      await blobIsKept(path);
      upstream.calm();
      expect((await mirror.client.expect([200], "GET", path)).body.equals(bytes)).to.equal(true);
      expect(upstream.requests).to.deep.equal([]);
    });

    it("fetches once for 50 clients, also for those who come late", async () => {
      const { bytes, path } = await freshBlob();
      upstream.hold(mebibyte);
      const early = Array.from({ length: 25 }, async () => await mirror.client.open("GET", path));
      await Promise.all(early);
      await until("upstream to have sent the first part", () => upstream.passed === mebibyte);
      const late = Array.from({ length: 25 }, async () => await mirror.client.open("GET", path));
      await Promise.all(late);
      upstream.release();
      for (const answer of await Promise.all([...early, ...late])) {
        expect((await bodyOf(answer)).equals(bytes)).to.equal(true);
      }
      expect(upstream.requests).to.deep.equal([`GET ${path}`]);
    });

    it("tells HEAD the size without fetching", async () => {
      const { bytes, path } = await freshBlob(1000);
      const { headers } = await mirror.client.expect([200], "HEAD", path);
      expect(headers["content-length"]).to.equal(String(bytes.length));
      expect(upstream.requests).to.deep.equal([`HEAD ${path}`]);
    });

    it("answers ranges while the blob comes", async () => {
      const { bytes, path } = await freshBlob();
      upstream.hold(mebibyte);
      const range = { headers: { Range: `bytes=100-${mebibyte + 99}` } };
      const answer = await mirror.client.open("GET", path, range);
      expect(answer.statusCode).to.equal(206);
      expect(answer.headers["content-range"]).to.equal(`bytes 100-${mebibyte + 99}/${bytes.length}`);
      upstream.release();
      expect((await bodyOf(answer)).equals(bytes.subarray(100, mebibyte + 100))).to.equal(true);
      expect(upstream.requests).to.deep.equal([`GET ${path}`]);
    });

    it("goes on for the others, and to the end, when a client leaves", async () => {
      const { bytes, path } = await freshBlob();
      upstream.hold(mebibyte);
      const [leaving, staying] = [await mirror.client.open("GET", path), await mirror.client.open("GET", path)];
      leaving.destroy();
      upstream.release();
      expect((await bodyOf(staying)).equals(bytes)).to.equal(true);
      const lonely = await freshBlob();
      upstream.hold(mebibyte);
      (await mirror.client.open("GET", lonely.path)).destroy();
      upstream.release();
      await blobIsKept(lonely.path);
    });

    it("asks for the rest of what upstream has cut", async () => {
      const { bytes, path } = await freshBlob();
      upstream.fault = { cutAt: bytes.length / 2, times: 1 };
      expect((await bodyOf(await mirror.client.open("GET", path))).equals(bytes)).to.equal(true);
      expect(upstream.count("GET")).to.equal(2);
      expect(upstream.ranges).to.have.length(1);
      await blobIsKept(path);
    });

    it("keeps nothing of what upstream goes down over, nor ends it cleanly", async () => {
      const { bytes, path } = await freshBlob();
      upstream.hold(mebibyte);
      const answer = await mirror.client.open("GET", path);
      const { port } = upstream;
      await upstream.stop();
      expect(await brokenBody(answer)).to.equal("broken");
      await upstream.listen(port);
      upstream.calm();
      expect((await mirror.client.expect([200], "GET", path)).body.equals(bytes)).to.equal(true);
      expect(upstream.requests).to.deep.equal([`GET ${path}`]);
    });

    it("breaks off what is corrupted, whole or in part, and never keeps it", async () => {
      const { bytes, path } = await freshBlob();
      upstream.fault = { corrupt: true };
      expect(await brokenBody(await mirror.client.open("GET", path))).to.equal("broken");
      // So short that nothing of it was sent before all was seen.
      await mirror.client.expect([502], "GET", path, { headers: { Range: "bytes=0-99" } });
      upstream.calm();
      expect((await mirror.client.expect([200], "GET", path)).body.equals(bytes)).to.equal(true);
      expect(upstream.requests).to.deep.equal([`GET ${path}`]);
    });

    it("gives a repository what another has only when upstream says that it has it too", async () => {
      const { path } = await freshBlob(1000);
      await mirror.client.expect([200], "GET", path);
      await blobIsKept(path);
      await mirror.client.expect([404], "GET", path.replace("foo/app", "foo/other"));
    });
  });
});

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function brokenBody(answer: IncomingMessage): Promise<"whole" | "broken"> {
  return await bodyOf(answer).then(
    () => "whole",
    () => "broken",
  );
}
