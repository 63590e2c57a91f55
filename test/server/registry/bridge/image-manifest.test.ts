import { expect } from "chai";
import { isReadableByV1, parseImageManifest } from "../../../../src/server/registry/bridge/image-manifest.ts";
import { layerCompression } from "../../../../src/server/registry/bridge/layer-types.ts";
import { sniffMediaType } from "../../../../src/server/registry/layers/compression.ts";
import { configType, sampleDigest } from "../../../support/bridge-images.ts";

const dockerConfig = "application/vnd.docker.container.image.v1+json";
const ociLayer = "application/vnd.oci.image.layer.v1.tar";
const dockerLayer = "application/vnd.docker.image.rootfs.diff.tar";

function described(mediaType: string, more: object = {}): object {
  return { mediaType, digest: sampleDigest(mediaType), size: 10, ...more };
}

function manifestOf(layers: readonly object[], more: object = {}): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, config: described(configType), layers, ...more }));
}

describe("the manifest of an image", () => {
  for (const [mediaType, compression, isReadable] of [
    [ociLayer, "none", true],
    [`${ociLayer}+gzip`, "gzip", true],
    [`${ociLayer}+zstd`, "zstd", false],
    [dockerLayer, "none", true],
    [`${dockerLayer}.gzip`, "gzip", true],
    [`${dockerLayer}.xz`, "xz", true],
    [`${dockerLayer}.bzip2`, "bzip2", true],
    [`${dockerLayer}.zstd`, "zstd", false],
  ] as const) {
    it(`has layers of ${mediaType}, which V1 clients ${isReadable ? "read" : "cannot read"}`, () => {
      const { layers } = parseImageManifest(manifestOf([described(mediaType)]));
      expect(layers).to.deep.equal([{ ...described(mediaType), compression }]);
      expect(layers.map(isReadableByV1)).to.deep.equal([isReadable]);
    });
  }

  it("has layers of every type that is found in what V1 clients push", async () => {
    for (const head of ["", "\x1f\x8b\x08", "\xfd7zXZ\0", "BZh9", "\x28\xb5\x2f\xfd"]) {
      const sniffed = sniffMediaType(one(Buffer.from(head, "latin1")));
      for await (const chunk of sniffed.bytes) expect(chunk).to.have.length(head.length);
      expect(layerCompression(sniffed.mediaType), sniffed.mediaType).to.be.a("string");
    }
  });

  for (const type of [configType, dockerConfig, "application/octet-stream"]) {
    it(`has a configuration of ${type}`, () => {
      const config = described(type);
      expect(parseImageManifest(manifestOf([], { config }))).to.deep.equal({ config, layers: [] });
    });
  }

  for (const [what, bytes, message] of [
    ["no JSON", Buffer.from("{"), "its manifest is damaged"],
    ["an index", manifestOf([], { config: undefined, manifests: [] }), "it is an index of images, not one image"],
    [
      "schema 1",
      manifestOf([], { schemaVersion: 1 }),
      "its manifest is of schema 1, which clients of today cannot use either",
    ],
    [
      "a Helm chart",
      manifestOf([], { config: described("application/vnd.cncf.helm.config.v1+json") }),
      "it is an artifact of type application/vnd.cncf.helm.config.v1+json, not an image",
    ],
    [
      "an artifact with the empty configuration",
      manifestOf([], {
        config: described("application/vnd.oci.empty.v1+json"),
        artifactType: "application/vnd.example.sbom",
      }),
      "it is an artifact of type application/vnd.example.sbom, not an image",
    ],
    [
      "an artifact of old",
      manifestOf([], { config: undefined, blobs: [] }),
      "it is an artifact without a configuration, not an image",
    ],
    [
      "an attestation",
      manifestOf([described("application/vnd.in-toto+json")]),
      `its layer ${sampleDigest("application/vnd.in-toto+json")} is application/vnd.in-toto+json, which is no layer of an image`,
    ],
    [
      "encrypted",
      manifestOf([described(`${ociLayer}+gzip+encrypted`)]),
      `its layer ${sampleDigest(`${ociLayer}+gzip+encrypted`)} is encrypted`,
    ],
    [
      "foreign for docker",
      manifestOf([
        described("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", { urls: ["https://example.org/"] }),
      ]),
      `its layer ${sampleDigest("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")} may not be distributed, and is kept elsewhere`,
    ],
    [
      "nondistributable for OCI",
      manifestOf([described("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")]),
      `its layer ${sampleDigest("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")} may not be distributed, and is kept elsewhere`,
    ],
    [
      "elsewhere",
      manifestOf([described(ociLayer, { urls: ["https://example.org/"] })]),
      `its layer ${sampleDigest(ociLayer)} is kept elsewhere`,
    ],
    ["of no type", manifestOf([described("")]), `its layer ${sampleDigest("")} has no media type`],
    ["without digests", manifestOf([{ mediaType: ociLayer, size: 1 }]), "its manifest is damaged"],
    ["without sizes", manifestOf([described(ociLayer, { size: -1 })]), "its manifest is damaged"],
    [
      "larger than clients read",
      manifestOf([], { config: described(configType, { size: 4 * 1024 * 1024 + 1 }) }),
      "its configuration is larger than 4 MiB",
    ],
    ["without a list of layers", manifestOf([], { layers: {} }), "its manifest is damaged"],
  ] as const) {
    it(`is refused when it is ${what}`, () => {
      expect(() => parseImageManifest(bytes))
        .to.throw(`The image cannot be translated: ${message}`)
        .with.include({ code: "IMAGE_UNTRANSLATABLE", status: 404 });
    });
  }
});

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield bytes;
}
