import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { ociImageOf, type OciImage, type V1ImageSource } from "../../../../src/server/registry/bridge/oci-image.ts";
import { digestOf } from "../../../../src/server/registry/digest.ts";
import { emptyLayerSource, gzippedTar, plainLayer, randomDocument, v1Chain } from "../../../support/bridge-images.ts";
import { command } from "../../../support/command.ts";
import { needs } from "../../../support/needs.ts";
import { seededRandom } from "../../../support/random.ts";
import { removeFolder, temporaryFolder } from "../../../support/program.ts";
import { tarOf } from "../../../support/v1-images.ts";

interface Inspection {
  readonly Created: string;
  readonly DockerVersion: string;
  readonly Labels: unknown;
  readonly Architecture: string;
  readonly Os: string;
  readonly Layers: readonly string[];
  readonly Env: readonly string[];
}

interface Schema1 {
  readonly fsLayers: readonly { readonly blobSum: string }[];
  readonly history: readonly { readonly v1Compatibility: string }[];
}

describe("skopeo, with OCI images of V1 images", () => {
  let folder: string;

  before(async function () {
    needs(this, "skopeo");
    folder = await temporaryFolder("bridge");
  });

  after(async () => {
    await removeFolder(folder);
  });

  async function skopeo(...args: readonly string[]): Promise<string> {
    return await command("skopeo", ["--insecure-policy", "--tmpdir", folder, ...args], {
      env: { PATH: process.env["PATH"], HOME: folder },
    });
  }

  /** Writes an OCI image layout; answers what skopeo calls it. */
  async function laidOut(name: string, image: OciImage, layers: readonly Buffer[]): Promise<string> {
    const layout = join(folder, name);
    await mkdir(join(layout, "blobs", "sha256"), { recursive: true });
    for (const bytes of [image.manifest.bytes, image.config.bytes, ...layers]) {
      await writeFile(join(layout, "blobs", ...digestOf(bytes).split(":")), bytes);
    }
    const { mediaType, digest, size } = image.manifest;
    const manifests = [{ mediaType, digest, size, annotations: { "org.opencontainers.image.ref.name": "v1" } }];
    await writeFile(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
    await writeFile(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    return `oci:${layout}:v1`;
  }

  async function realLayer(name: string, isPacked: boolean): Promise<{ bytes: Buffer; layer: V1ImageSource["layer"] }> {
    const tar = await tarOf(name, 1000);
    const bytes = isPacked ? gzipSync(tar) : tar;
    const packed = { digest: digestOf(bytes), size: bytes.length, mediaType: gzippedTar, diffId: digestOf(tar) };
    return { bytes, layer: isPacked ? packed : plainLayer(tar) };
  }

  it("sees created, author, environment, entrypoint and history as the V1 JSON had them", async () => {
    const [base, top] = [await realLayer("base", true), await realLayer("top", false)];
    const chain = v1Chain(
      [{ created: "2014-06-01T10:00:00.5Z", author: "curator é", comment: "Imported" }, base.layer],
      [{ container_config: { Cmd: ["/bin/sh", "-c", "#(nop) ENV A=é"] } }, emptyLayerSource],
      [
        {
          created: "2014-06-02T10:00:00.123456789Z",
          author: "curator é",
          docker_version: "1.5.0",
          container_config: { Cmd: ["/bin/sh", "-c", "make"], Memory: 2 ** 40 },
          config: {
            Env: ["A=é"],
            Entrypoint: "/init",
            Cmd: null,
            ExposedPorts: null,
            Volumes: { "/data": {} },
            Labels: null,
          },
        },
        top.layer,
      ],
    );
    const reference = await laidOut("image", ociImageOf(chain), [base.bytes, top.bytes]);
    expect(JSON.parse(await skopeo("inspect", reference)) as Inspection).to.deep.include({
      Created: "2014-06-02T10:00:00.123456789Z",
      DockerVersion: "1.5.0",
      Labels: null,
      Architecture: "amd64",
      Os: "linux",
      Layers: [base.layer.digest, top.layer.digest],
      Env: ["A=é"],
    });
    expect(JSON.parse(await skopeo("inspect", "--config", reference))).to.deep.include({
      author: "curator é",
      config: { Env: ["A=é"], Entrypoint: ["/init"], Volumes: { "/data": {} } },
      rootfs: { type: "layers", diff_ids: [base.layer.diffId, top.layer.diffId] },
      history: [
        { created: "2014-06-01T10:00:00.5Z", author: "curator é", comment: "Imported" },
        { created_by: "/bin/sh -c #(nop) ENV A=é", empty_layer: true },
        { created: "2014-06-02T10:00:00.123456789Z", created_by: "/bin/sh -c make", author: "curator é" },
      ],
    });
  });

  it("copies them into the form of schema 1, for which history and layers have to fit", async () => {
    const [full] = [await realLayer("full", true)];
    for (const [name, layers] of [
      ["between", [emptyLayerSource, full.layer, emptyLayerSource]],
      ["alone", [emptyLayerSource, emptyLayerSource]],
      ["nothing", [plainLayer(Buffer.alloc(0))]],
    ] as const) {
      const image = ociImageOf(
        v1Chain(...layers.map((layer) => [{ created: "2014-06-01T10:00:00Z" }, layer] as const)),
      );
      const reference = await laidOut(name, image, [full.bytes, Buffer.alloc(1024), Buffer.alloc(0)]);
      await skopeo("copy", reference, `docker-archive:${join(folder, `${name}.tar`)}`);
      await skopeo("copy", "--format", "v2s1", reference, `dir:${join(folder, `${name}-1`)}`);
      const schema1 = JSON.parse(await readFile(join(folder, `${name}-1`, "manifest.json"), "utf8")) as Schema1;
      expect(schema1.history, name).to.have.length(layers.length);
      expect(schema1.fsLayers, name).to.have.length(layers.length);
    }
  });

  it("takes them whatever the V1 JSON says", async function () {
    const random = seededRandom(this);
    for (let round = 0; round < 8; round++) {
      const chain = v1Chain([randomDocument(random), emptyLayerSource], [randomDocument(random), emptyLayerSource]);
      const image = ociImageOf(chain);
      const reference = await laidOut(`random-${round}`, image, [Buffer.alloc(1024)]);
      await skopeo("inspect", "--config", reference);
      await skopeo("copy", "--format", "v2s1", reference, `dir:${join(folder, `random-${round}-1`)}`);
    }
  });
});
