import { expect } from "chai";
import { platformManifest } from "../../../../src/server/registry/bridge/platform.ts";
import { sampleDigest } from "../../../support/bridge-images.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";

function entry(platform: string | undefined, more: object = {}): object {
  const [os, architecture, variant] = platform?.split("/") ?? [];
  return {
    mediaType: manifestType,
    digest: sampleDigest(platform ?? "none"),
    size: 7,
    ...(platform !== undefined && { platform: { os, architecture, variant } }),
    ...more,
  };
}

function indexOf(...manifests: readonly unknown[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests }));
}

describe("the manifest of an index for a platform", () => {
  for (const [asked, there, expected] of [
    ["linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"],
    ["linux/amd64", ["windows/amd64", "linux/amd64"], "linux/amd64"],
    ["linux/arm/v7", ["linux/arm/v6", "linux/arm", "linux/arm/v7"], "linux/arm/v7"],
    ["linux/arm/v7", ["linux/arm/v6", "linux/arm"], "linux/arm"],
    ["linux/arm", ["linux/arm/v6", "linux/arm"], "linux/arm"],
    ["linux/arm64", ["linux/arm64/v8", "linux/arm64/v9"], "linux/arm64/v8"],
    ["linux/amd64", ["unknown/unknown", "linux/amd64"], "linux/amd64"],
    ["linux/amd64", [undefined, "linux/amd64"], "linux/amd64"],
    ["linux/amd64", ["linux/s390x", undefined], undefined],
  ] as const) {
    it(`is ${String(expected)} for ${asked} of ${there.map(String).join(", ")}`, () => {
      expect(platformManifest(indexOf(...there.map((platform) => entry(platform))), asked)).to.deep.equal({
        mediaType: manifestType,
        digest: sampleDigest(expected ?? "none"),
        size: 7,
      });
    });
  }

  it("may be an index again", () => {
    const nested = entry(undefined, { mediaType: indexType });
    expect(platformManifest(indexOf(entry("linux/s390x"), nested), "linux/amd64").mediaType).to.equal(indexType);
  });

  it("is that of an entry of docker's", () => {
    const mediaType = "application/vnd.docker.distribution.manifest.v2+json";
    expect(platformManifest(indexOf(entry("linux/amd64", { mediaType })), "linux/amd64").mediaType).to.equal(mediaType);
  });

  for (const [what, index, message] of [
    [
      "other platforms",
      indexOf(entry("linux/arm64/v8"), entry("linux/s390x"), entry("linux/s390x"), entry("unknown/unknown")),
      "it is not there for linux/amd64, only for linux/arm64/v8, linux/s390x",
    ],
    [
      "another variant",
      indexOf(entry("linux/amd64/v3", { platform: { os: "linux", architecture: "x" } })),
      "it is not there for linux/amd64, only for linux/x",
    ],
    ["nothing", indexOf(), "its index names no image"],
    ["attestations alone", indexOf(entry("unknown/unknown")), "its index names no image"],
    [
      "artifacts",
      indexOf(entry(undefined, { artifactType: "a/b" }), entry("linux/amd64", { mediaType: "a/b" })),
      "its index names no image",
    ],
    [
      "no descriptors",
      indexOf(null, 1, { digest: "sha256:x", size: 1 }, { digest: sampleDigest("x") }),
      "its index names no image",
    ],
    ["no list", Buffer.from("{}"), "its index is damaged"],
    ["no JSON", Buffer.from("{"), "its index is damaged"],
  ] as const) {
    it(`is refused when the index has ${what}`, () => {
      expect(() => platformManifest(index, "linux/amd64"))
        .to.throw(`The image cannot be translated: ${message}`)
        .with.include({ code: "IMAGE_UNTRANSLATABLE", status: 404 });
    });
  }

  it("is not one of another variant than was asked for", () => {
    expect(() => platformManifest(indexOf(entry("linux/arm/v6")), "linux/arm/v7")).to.throw("only for linux/arm/v6");
  });
});
