import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect } from "chai";
import { emptySample, problem, pullImage, pushImage, sampleLayer } from "../../support/bridged-registry.ts";
import { command } from "../../support/command.ts";
import { needs } from "../../support/needs.ts";
import { digestOf, indexType, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { registryForEach } from "../../support/registry-for-each.ts";
import { startRegistry } from "../../support/registry-server.ts";
import { gathered } from "../../support/tar-bytes.ts";
import { imageOf, tarOf } from "../../support/v1-images.ts";

const unpack = (body: Buffer) => JSON.parse(body.toString()) as unknown;
const layers = [sampleLayer("one"), sampleLayer("two"), sampleLayer("three")];

for (const storage of ["memory", "local"] as const) {
  describe(`images pushed through V2, pulled through V1, in ${storage} storage`, function () {
    this.timeout(180_000);
    const server = registryForEach(storage);
    const get = async (path: string, status = 200) => (await server.client.expect([status], "GET", path)).body;
    const tagsOf = async (name: string) => unpack(await get(`/v1/repositories/${name}/tags`));

    it("have an image for each layer, with JSON, checksum and bytes that belong together", async () => {
      await pushImage(server.client, "foo/bar", "v1", layers);
      const bytes = new Map<string, Buffer>();
      const images = await server.client.pull("foo/bar", "v1", async (id, layer) => {
        bytes.set(id, await gathered(layer));
      });
      expect(images.length).to.equal(3);
      for (const [index, { id, json, checksum }] of images.entries()) {
        const document = unpack(json) as Record<string, unknown>;
        const layer = bytes.get(id)!;
        expect(layer.equals(layers[index]!.bytes)).to.equal(true);
        expect(document["id"]).to.equal(id);
        expect(document["parent"]).to.equal(images[index - 1]?.id);
        expect(document["Size"]).to.equal(layers[index]!.archive.length);
        const payload = createHash("sha256").update(json).update("\n").update(layer).digest("hex");
        expect(checksum).to.equal(`sha256:${payload}`);
      }
      expect((unpack(images[2]!.json) as { config: object }).config).to.deep.equal({
        Cmd: ["/bin/hello"],
        Env: ["PATH=/bin"],
      });
    });

    it("answer ancestry, files and diff as any image does", async () => {
      await pushImage(server.client, "foo/bar", "v1", layers);
      const { v1: top } = (await tagsOf("foo/bar")) as { v1: string };
      const ancestry = unpack(await get(`/v1/images/${top}/ancestry`)) as string[];
      expect(ancestry.length).to.equal(3);
      const files = unpack(await get(`/v1/images/${ancestry[1]!}/files`)) as unknown[][];
      expect(files.map(([name]) => name)).to.deep.equal(["/two"]);
      const { created } = unpack(await get(`/v1/images/${top}/diff`)) as { created: object };
      expect(Object.keys(created)).to.deep.equal(["/three"]);
    });

    it("have the same ids in every registry, and are in no other until somebody asks", async () => {
      await pushImage(server.client, "foo/bar", "v1", layers);
      const images = await server.client.pull("foo/bar", "v1");
      const other = await startRegistry();
      try {
        await other.client.expect([404], "GET", `/v1/images/${images[2]!.id}/json`);
        await pushImage(other.client, "a/b", "c", layers);
        expect(await other.client.pull("a/b", "c")).to.deep.equal(images);
      } finally {
        await other.close();
      }
    });

    it("take tags of V1, which are the same manifest again", async () => {
      const { digest } = await pushImage(server.client, "foo/bar", "v1", layers);
      const { v1: top } = (await tagsOf("foo/bar")) as { v1: string };
      await server.client.expect([200], "PUT", "/v1/repositories/other/name/tags/again", {
        body: Buffer.from(JSON.stringify(top)),
      });
      expect((await pullImage(server.client, "other/name", "again")).digest).to.equal(digest);
    });

    it("are parents of what V1 clients build on them", async () => {
      await pushImage(server.client, "foo/bar", "v1", layers);
      const { v1: top } = (await tagsOf("foo/bar")) as { v1: string };
      const child = imageOf(gzipSync(await tarOf("child", 10)), { id: top });
      await server.client.push("foo/child", "v1", [child]);
      expect((await server.client.pull("foo/child", "v1")).length).to.equal(4);
      const { manifest } = await pullImage(server.client, "foo/child", "v1");
      expect(manifest.layers.slice(0, 3).map(({ digest }) => digest)).to.deep.equal(
        layers.map(({ bytes }) => digestOf(bytes)),
      );
    });

    it("are not pushed again by a client that has pulled them", async () => {
      await pushImage(server.client, "foo/bar", "v1", layers);
      const { v1: top } = (await tagsOf("foo/bar")) as { v1: string };
      const json = Buffer.from(JSON.stringify({ id: top }));
      const answer = await server.client.expect([409], "PUT", `/v1/images/${top}/json`, { body: json });
      expect(unpack(answer.body)).to.deep.equal({ error: "Image already exists" });
    });

    it("come back as they were from a V1 registry", async () => {
      await pushImage(server.client, "foo/bar", "v1", layers);
      const held = new Map<string, Buffer>();
      const images = await server.client.pull("foo/bar", "v1", async (id, layer) => {
        held.set(id, await gathered(layer));
      });
      const other = await startRegistry();
      try {
        const pushed = images.map(({ id, json }) => ({
          id,
          json,
          layer: async function* () {
            await Promise.resolve();
            yield held.get(id)!;
          },
        }));
        await other.client.push("a/b", "c", pushed);
        expect(await other.client.pull("a/b", "c")).to.deep.equal(images);
        const { manifest } = await pullImage(other.client, "a/b", "c");
        expect(manifest.layers.map(({ digest }) => digest)).to.deep.equal(layers.map(({ bytes }) => digestOf(bytes)));
      } finally {
        await other.close();
      }
    });

    it("may have no layer at all, and chains of 40", async () => {
      await pushImage(server.client, "foo/bar", "none", []);
      const [empty] = await server.client.pull("foo/bar", "none");
      expect(empty?.layer).to.deep.equal({ size: 1024, sha256: digestOf(emptySample.bytes).slice("sha256:".length) });
      const many = Array.from({ length: 40 }, (_, index) => sampleLayer(`file-${index}`));
      await pushImage(server.client, "foo/bar", "many", many);
      expect((await server.client.pull("foo/bar", "many")).length).to.equal(40);
    });

    it("are repacked where V1 clients can't read them", async function () {
      needs(this, "zstd");
      const { archive } = sampleLayer("packed");
      const path = `${server.folder}/archive`;
      await writeFile(path, archive);
      await command("zstd", ["-q", path]);
      const bytes = await readFile(`${path}.zst`);
      const layer = { archive, bytes, mediaType: "application/vnd.oci.image.layer.v1.tar+zstd" };
      await pushImage(server.client, "foo/bar", "v1", [layer]);
      let found: Buffer = Buffer.alloc(0);
      await server.client.pull("foo/bar", "v1", async (_, content) => {
        found = await gathered(content);
      });
      expect(found.subarray(0, 2).toString("hex")).to.equal("1f8b");
      expect(gunzipSync(found).equals(archive)).to.equal(true);
    });

    it("are those of one platform of an index", async () => {
      const platforms = ["arm64", "amd64"].map((architecture) => ({ architecture, os: "linux" }));
      const manifests = [];
      for (const platform of platforms) {
        const layer = sampleLayer(platform.architecture);
        const { bytes, digest } = await pushImage(server.client, "foo/bar", platform.architecture, [layer], platform);
        manifests.push({
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest,
          size: bytes.length,
          platform,
        });
      }
      await pushManifest(server.client, "foo/bar", "all", { schemaVersion: 2, manifests }, indexType);
      const tags = (await tagsOf("foo/bar")) as Record<string, string>;
      expect(tags["all"]).to.equal(tags["amd64"]);
      expect(Object.keys(tags)).to.deep.equal(["all", "amd64", "arm64"]);
      await pushManifest(server.client, "foo/bar", "arm", { schemaVersion: 2, manifests: [manifests[0]] }, indexType);
      expect(Object.keys((await tagsOf("foo/bar")) as object)).to.deep.equal(["all", "amd64", "arm64"]);
      expect(unpack(await get("/v1/repositories/foo/bar/tags/arm", 404))).to.deep.equal({
        error: "The image cannot be translated: it is not there for linux/amd64, only for linux/arm64",
      });
    });

    it("are left out of lists when they are no images, and say so when asked for", async () => {
      const config = await pushBlob(server.client, "foo/bar", Buffer.from("{}"), "application/vnd.oci.empty.v1+json");
      const artifact = { schemaVersion: 2, artifactType: "application/vnd.example", config, layers: [config] };
      await pushManifest(server.client, "foo/bar", "artifact", artifact);
      expect(await tagsOf("foo/bar")).to.deep.equal({});
      expect(unpack(await get("/v1/repositories/foo/bar/images"))).to.deep.equal([]);
      expect(unpack(await get("/v1/repositories/foo/bar/tags/artifact", 404))).to.deep.equal({
        error: "The image cannot be translated: it is an artifact of type application/vnd.example, not an image",
      });
    });

    it("say which layer can't be read", async () => {
      const bytes = gzipSync(Buffer.from("no archive".repeat(200)));
      const layer = { archive: bytes, bytes, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" };
      await pushImage(server.client, "foo/bar", "v1", [sampleLayer("one"), layer]);
      const { v1: top } = (await tagsOf("foo/bar")) as { v1: string };
      const { error } = unpack(await get(`/v1/images/${top}/json`, 404)) as { error: string };
      expect(error).to.contain(`its layer ${digestOf(bytes)} can't be read: `);
    });

    it("are in the list of a repository's images, beside those that V1 clients have put there", async () => {
      await get("/v1/repositories/foo/bar/images", 404);
      await pushImage(server.client, "foo/bar", "v1", layers);
      const { v1: top } = (await tagsOf("foo/bar")) as { v1: string };
      expect(unpack(await get("/v1/repositories/foo/bar/images"))).to.deep.equal([{ id: top }]);
      await server.client.expect([200], "PUT", "/v1/repositories/foo/bar/", { body: Buffer.from('[{"id": "x"}]') });
      expect(unpack(await get("/v1/repositories/foo/bar/images"))).to.deep.equal([{ id: "x" }, { id: top }]);
    });

    it("are docker's own, by both names; the longer one counts first", async () => {
      await pushImage(server.client, "busybox", "v1", [sampleLayer("short")]);
      const { v1: short } = (await tagsOf("busybox")) as { v1: string };
      expect(await tagsOf("library/busybox")).to.deep.equal({ v1: short });
      await pushImage(server.client, "library/busybox", "v1", [sampleLayer("long")]);
      expect(await tagsOf("busybox")).not.to.deep.equal({ v1: short });
    });

    it("are gone from both protocols when V1 deletes the repository", async () => {
      const { digest } = await pushImage(server.client, "foo/bar", "v1", layers);
      await pushImage(server.client, "foo/bar/below", "v1", layers);
      await server.client.expect([200], "DELETE", "/v1/repositories/foo/bar/");
      await get("/v1/repositories/foo/bar/tags", 404);
      for (const path of [`manifests/${digest}`, "manifests/v1", "tags/list", `blobs/${digestOf(layers[0]!.bytes)}`]) {
        await get(`/v2/foo/bar/${path}`, 404);
      }
      await pullImage(server.client, "foo/bar/below", "v1");
      expect(unpack(await get("/v2/_catalog"))).to.deep.equal({ repositories: ["foo/bar/below"] });
      await server.client.expect([404], "DELETE", "/v1/repositories/foo/bar/");
    });

    it("are unknown when their manifest is not there, as V2 says too", async () => {
      const answer = await server.client.send("GET", "/v2/foo/bar/manifests/v1");
      expect(problem(answer)).to.match(/^404 MANIFEST_UNKNOWN/);
      await get("/v1/repositories/foo/bar/tags/v1", 404);
    });
  });
}

describe("images of several platforms, pulled through V1", function () {
  this.timeout(180_000);

  it("are those of the platform that is configured", async () => {
    const server = await startRegistry({ v1_platform: "linux/arm/v7" });
    try {
      const manifests = [];
      for (const platform of [{ architecture: "amd64" }, { architecture: "arm", variant: "v7" }]) {
        const layers = [sampleLayer(platform.architecture)];
        const { bytes, digest } = await pushImage(server.client, "foo/bar", platform.architecture, layers, platform);
        const mediaType = "application/vnd.oci.image.manifest.v1+json";
        manifests.push({ mediaType, digest, size: bytes.length, platform: { os: "linux", ...platform } });
      }
      await pushManifest(server.client, "foo/bar", "all", { schemaVersion: 2, manifests }, indexType);
      const [image] = await server.client.pull("foo/bar", "all");
      expect(unpack(image!.json)).to.include({ architecture: "arm", variant: "v7" });
    } finally {
      await server.close();
    }
  });
});
