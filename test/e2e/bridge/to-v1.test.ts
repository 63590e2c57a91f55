import { readFile } from "node:fs/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect } from "chai";
import { ContainerTools, needsContainerTools } from "../../support/container-tools.ts";
import { endOfSuite } from "../../support/end-of-suite.ts";
import { FileTree } from "../../support/file-tree.ts";
import { plainHttp, type FrontedRegistry } from "../../support/fronted-registry.ts";
import { blobOf, writeImage, writeMultiPlatformImage } from "../../support/image-layout.ts";
import { digestOf, imageType, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { archivesIn } from "../../support/pulled-tree.ts";
import { gathered, tarOf } from "../../support/tar-bytes.ts";
import type { Answer, V1Image } from "../../support/v1-client.ts";
import { imageOf } from "../../support/v1-images.ts";

/** An image as a V1 client has it after a pull. */
interface Pulled {
  readonly images: readonly { readonly id: string; readonly json: Readonly<Record<string, unknown>> }[];
  readonly archives: readonly Buffer[];
}

describe("images of today's clients, pulled by clients of V1", function () {
  this.timeout(180_000);
  let registry: FrontedRegistry;
  let tools: ContainerTools;
  const atEnd = endOfSuite();
  before(async function () {
    needsContainerTools(this, "skopeo", "podman", "buildah", "zstd");
    registry = await plainHttp.start();
    atEnd(() => registry.stop());
    tools = await ContainerTools.create(registry);
    atEnd(() => tools.remove());
  });
  const at = (name: string) => `docker://${registry.address}/${name}`;
  const get = async (path: string) =>
    JSON.parse((await registry.client.expect([200], "GET", path)).body.toString()) as unknown;

  /** Pulls as docker 1.5 does, and expects that ids, parents, ancestry, sizes and checksums belong together. */
  async function pull(repository: string, tag: string): Promise<Pulled> {
    const layers: Buffer[] = [];
    const pulled = await registry.client.pull(repository, tag, async (_, layer) => {
      layers.push(await gathered(layer));
    });
    const archives = layers.map(unpacked);
    const images = pulled.map(({ id, json }) => ({ id, json: JSON.parse(json.toString()) as Record<string, unknown> }));
    for (const [index, { id, json }] of images.entries()) {
      expect(json).to.include({ id, Size: archives[index]!.length });
      expect(json["parent"]).to.equal(images[index - 1]?.id);
      const payload = Buffer.concat([pulled[index]!.json, Buffer.from("\n"), layers[index]!]);
      expect(pulled[index]!.checksum).to.equal(digestOf(payload));
      const below = images.slice(0, index + 1).map((image) => image.id);
      expect(await get(`/v1/images/${id}/ancestry`)).to.deep.equal(below.reverse());
    }
    expect(images.at(-1)!.json).to.include({ os: "linux", architecture: "amd64" });
    return { images, archives };
  }

  /** Expects that V1 has the image in a folder of skopeo's, file by file. */
  async function expectImage(repository: string, tag: string, folder: string, digest: string): Promise<Pulled> {
    const pulled = await pull(repository, tag);
    const archives = await archivesIn(folder, digest);
    expect(pulled.archives.map((archive) => digestOf(archive))).to.deep.equal(
      archives.map((archive) => digestOf(archive)),
    );
    const config = JSON.parse((await blobOf(folder, await configOf(folder, digest))).toString()) as {
      config: object;
      created: string;
    };
    expect(pulled.images.at(-1)!.json).to.deep.include({ config: config.config, created: config.created });
    return pulled;
  }

  for (const format of ["oci", "v2s2"]) {
    it(`have what podman pushed as ${format}`, async () => {
      const folder = tools.path(`podman-${format}`);
      const image = await writeImage(folder);
      await tools.skopeo("copy", image.reference, `oci-archive:${folder}.tar:${registry.address}/podman:${format}`);
      await tools.podman("load", "-q", "-i", `${folder}.tar`);
      await tools.podman("push", "--format", format, `${registry.address}/podman:${format}`);
      const { images } = await expectImage("podman", format, folder, image.digest);

      const names = (await get(`/v1/images/${images[1]!.id}/files`)) as [string][];
      expect(names.map(([name]) => name)).to.include.members(["greeting", "again", "grüße", "removed"]);
      // As the Python registry did, it takes whiteouts for such only where names begin with `./`.
      const diff = (await get(`/v1/images/${images[2]!.id}/diff`)) as { created: object };
      expect(Object.keys(diff.created)).to.deep.equal([".wh.removed", "deletions-of"]);
    });
  }

  it("have layers that skopeo packed with zstd, packed with gzip", async () => {
    const folder = tools.path("zstd");
    const image = await writeImage(folder);
    const packed = tools.path("zstd-packed");
    const compress = ["--dest-compress", "--dest-compress-format", "zstd"];
    await tools.skopeo("copy", image.reference, `dir:${packed}-plain`, "--dest-decompress");
    await tools.skopeo("copy", ...compress, `dir:${packed}-plain`, `oci:${packed}:v1`);
    await tools.skopeo("copy", "--preserve-digests", `oci:${packed}:v1`, at("today/zstd:v1"));
    const { body } = await registry.client.expect([200], "GET", "/v2/today/zstd/manifests/v1");
    const { layers } = JSON.parse(body.toString()) as { layers: { mediaType: string }[] };
    expect(layers.map(({ mediaType }) => mediaType)).to.deep.equal(
      layers.map(() => "application/vnd.oci.image.layer.v1.tar+zstd"),
    );
    await expectImage("today/zstd", "v1", folder, image.digest);
  });

  it("have what buildah built and pushed, with its configuration and history", async () => {
    const container = (await tools.buildah("from", "scratch")).trim();
    await tools.buildah("copy", "-q", container, "/usr/bin/env", "/env");
    await tools.buildah(
      "config",
      "--author",
      "Žofie",
      "--env",
      "A=ü",
      "--entrypoint",
      `["/env"]`,
      "--created-by",
      "by hand",
      container,
    );
    await tools.buildah("commit", "-q", container, `${registry.address}/today/built:v1`);
    await tools.buildah("push", "-q", `${registry.address}/today/built:v1`);
    const { images, archives } = await pull("today/built", "v1");
    const { json } = images.at(-1)!;
    expect(json).to.deep.include({ author: "Žofie" });
    expect(json["config"]).to.deep.include({ Env: ["A=ü"], Entrypoint: ["/env"] });
    expect(json["container_config"]).to.deep.include({ Cmd: ["by hand"] });
    const tree = await FileTree.of(archives.map(streamOf));
    expect(tree.lines().map((line) => line.split(":")[0])).to.deep.equal(["env"]);
  });

  it("are those of linux/amd64 where an index has several", async () => {
    const folder = tools.path("index");
    const image = await writeMultiPlatformImage(folder);
    await tools.skopeo("copy", "--all", image.reference, at("today/index:v1"));
    await expectImage("today/index", "v1", folder, image.images[0]!.digest);
  });

  it("are parents of what V1 clients build on them, which skopeo and podman pull", async () => {
    const folder = tools.path("parent");
    const image = await writeImage(folder);
    await tools.skopeo("copy", image.reference, at("today/parent:v1"));
    const { images, archives } = await expectImage("today/parent", "v1", folder, image.digest);
    const layer = tarOf({ name: "greeting", content: Buffer.from("hello from a child\n") }, { name: ".wh.noise" });
    const child = imageOf(gzipSync(layer), images.at(-1), { config: { Cmd: ["/bin/busybox", "cat", "/greeting"] } });
    const parents = images.map(({ id }): V1Image => ({
      id,
      json: Buffer.from(""),
      layer: () => streamOf(Buffer.from("")),
    }));
    await registry.client.push("today/child", "v1", [...parents, child]);

    const copied = tools.path("child");
    await tools.skopeo("copy", at("today/child:v1"), `oci:${copied}:v1`);
    const index = JSON.parse(await readFile(`${copied}/index.json`, "utf8")) as { manifests: [{ digest: string }] };
    const found = await archivesIn(copied, index.manifests[0].digest);
    expect(found.map((archive) => digestOf(archive))).to.deep.equal(
      [...archives, layer].map((archive) => digestOf(archive)),
    );
    await tools.podman("pull", "-q", `${registry.address}/today/child:v1`);
    expect(await tools.podmanRun(`${registry.address}/today/child:v1`)).to.equal("hello from a child\n");
  });

  it("are not there, and said why, where they are artifacts or kept elsewhere", async () => {
    const { client } = registry;
    const empty = await pushBlob(client, "today/odd", Buffer.from("{}"), "application/vnd.oci.empty.v1+json");
    const text = await pushBlob(client, "today/odd", Buffer.from("a text"), "text/plain");
    const artifact = { artifactType: "application/vnd.example+type", config: empty, layers: [text] };
    await pushManifest(client, "today/odd", "artifact", { schemaVersion: 2, mediaType: imageType, ...artifact });
    const config = await pushBlob(
      client,
      "today/odd",
      Buffer.from(`{"os":"linux","architecture":"amd64"}`),
      "application/vnd.oci.image.config.v1+json",
    );
    const foreign = { digest: digestOf("elsewhere"), size: 9, urls: ["https://example.org/layer"] };
    const mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    const layers = [{ mediaType, ...foreign }];
    await pushManifest(client, "today/odd", "foreign", { schemaVersion: 2, mediaType: imageType, config, layers });
    const image = await writeImage(tools.path("even"));
    await tools.skopeo("copy", image.reference, at("today/odd:image"));

    expect(Object.keys((await get("/v1/repositories/today/odd/tags")) as object)).to.deep.equal(["image"]);
    const told = async (tag: string) => error(await client.send("GET", `/v1/repositories/today/odd/tags/${tag}`));
    expect(await told("artifact")).to.match(/^404 .*cannot be translated: .*(artifact|no image|no layer)/);
    expect(await told("foreign")).to.match(
      /^404 .*cannot be translated: .*may not be distributed, and is kept elsewhere/,
    );
    expect(await told("none")).to.equal("404 Tag not found");
  });
});

async function configOf(folder: string, digest: string): Promise<string> {
  const manifest = JSON.parse((await blobOf(folder, digest)).toString()) as { config: { digest: string } };
  return manifest.config.digest;
}

function error({ status, body }: Answer): string {
  return `${status} ${(JSON.parse(body.toString()) as { error: string }).error}`;
}

function unpacked(layer: Buffer): Buffer {
  return layer.subarray(0, 2).toString("hex") === "1f8b" ? gunzipSync(layer) : layer;
}

async function* streamOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}
