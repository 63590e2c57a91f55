import { expect } from "chai";
import { pushImage, sampleLayer } from "../support/bridged-registry.ts";
import { registryctl, succeeds } from "../support/cli.ts";
import { startInherited, waysTo, type InheritedRegistry } from "../support/inherited-registry.ts";
import { digestOf, imageType, indexType, pushBlob, pushManifest, type PushedManifest } from "../support/oci-image.ts";
import type { RegistryServer } from "../support/registry-server.ts";
import { smallChain } from "../support/v1-images.ts";
import type { V1Image } from "../support/v1-client.ts";

interface Report {
  readonly v2: {
    readonly problem?: string;
    readonly digest?: string;
    readonly kind?: string;
    readonly mediaType?: string;
    readonly artifactType?: string;
    readonly size?: number;
    readonly layers?: readonly { readonly digest: string; readonly size: number }[];
    readonly platforms?: readonly { readonly platform: string; readonly digest: string; readonly size: number }[];
    readonly shared?: Readonly<Record<string, readonly string[]>>;
  };
  readonly v1: {
    readonly problem?: string;
    readonly images?: readonly { readonly id: string; readonly size: number; readonly createdBy: string }[];
  };
}

describe("registryctl inspect", function () {
  this.timeout(180_000);
  let registry: InheritedRegistry;
  let cwd: string;
  let server: RegistryServer;
  let image: PushedManifest;
  let index: PushedManifest;
  let chain: readonly V1Image[];
  const common = sampleLayer("common");
  before(async () => {
    registry = await startInherited(3);
    ({ folder: cwd, server } = registry);
    image = await pushImage(server.client, "team/app", "1.0", [common, sampleLayer("one")]);
    const other = await pushImage(server.client, "team/app", "2.0", [common, sampleLayer("two")]);
    const platforms = { amd64: image, arm64: other };
    const manifests = Object.entries(platforms).map(([architecture, { digest, bytes }]) => ({
      ...{ mediaType: imageType, digest, size: bytes.length, platform: { os: "linux", architecture } },
    }));
    const document = { schemaVersion: 2, mediaType: indexType, manifests };
    index = await pushManifest(server.client, "team/app", "multi", document, indexType);
    const config = await pushBlob(server.client, "team/app", Buffer.from("{}"), "application/vnd.example.config");
    await pushManifest(server.client, "team/app", "chart", {
      schemaVersion: 2,
      mediaType: imageType,
      config,
      layers: [],
    });
    chain = await smallChain(3);
    await server.client.push("team/app", "old", chain);
  });
  after(async () => {
    await registry.close();
  });

  for (const { way, args } of waysTo(() => registry)) {
    const inspect = async (name: string) =>
      JSON.parse(await succeeds(["inspect", name, "--json", ...args()], { cwd })) as Report;

    it(`shows an image of today in both protocols ${way}`, async () => {
      const { v1, v2 } = await inspect("team/app:1.0");
      expect(v2).to.include({ digest: image.digest, kind: "image", mediaType: imageType });
      const { layers = [] } = v2;
      expect(layers.map(({ digest }) => digest)).to.deep.equal([
        digestOf(common.bytes),
        digestOf(sampleLayer("one").bytes),
      ]);
      const manifest = JSON.parse(image.bytes.toString()) as { config: { size: number } };
      const content = layers.reduce((sum, { size }) => sum + size, manifest.config.size + image.bytes.length);
      expect(v2.size).to.equal(content);
      expect(v2.shared?.[digestOf(common.bytes)]).to.deep.equal(["2.0", "multi"]);
      expect(v1.images?.map(({ size }) => size)).to.deep.equal(layers.map(({ size }) => size).reverse());
      const named = await server.client.expect([200], "GET", "/v1/repositories/team/app/tags/1.0");
      expect(v1.images?.[0]?.id).to.equal(JSON.parse(named.body.toString()));
    });

    it(`shows the images of an index and what V1 clients get of it ${way}`, async () => {
      const { v1, v2 } = await inspect("team/app:multi");
      expect(v2).to.include({ digest: index.digest, kind: "index" });
      expect(v2.platforms?.map(({ platform }) => platform)).to.deep.equal(["linux/amd64", "linux/arm64"]);
      const one = await inspect("team/app:1.0");
      expect(v1.images?.map(({ id }) => id)).to.deep.equal(one.v1.images?.map(({ id }) => id));
      expect(v2.size).to.be.greaterThan(one.v2.size ?? Infinity);
    });

    it(`shows what was pushed through V1 ${way}`, async () => {
      const { v1, v2 } = await inspect("team/app:old");
      expect(v1.images?.map(({ id }) => id)).to.deep.equal(chain.map(({ id }) => id).reverse());
      expect(v1.images?.[0]?.createdBy).to.equal("/bin/hello");
      expect(v2.layers?.length).to.equal(3);
    });

    it(`says of an artifact and of names that V2 can't spell what is missing ${way}`, async () => {
      const chart = await inspect("team/app:chart");
      expect(chart.v2).to.include({ kind: "artifact", artifactType: "application/vnd.example.config" });
      expect(chart.v1.problem).to.contain("not an image");
      const odd = await inspect("foo/UPPER");
      expect(odd.v2.problem).to.equal("V2 can't spell its name");
      expect(odd.v1.images?.length).to.equal(4);
    });

    it(`takes a digest ${way}`, async () => {
      const { v2, v1 } = await inspect(`team/app@${image.digest}`);
      expect(v2.digest).to.equal(image.digest);
      expect(v1.problem).to.be.a("string");
    });

    it(`prints all that for people ${way}`, async () => {
      const text = await succeeds(["inspect", "team/app:multi", ...args()], { cwd });
      for (const expected of [
        /^team\/app:multi\ndigest {4}sha256:[0-9a-f]{64}\nkind {6}index, application/,
        /PLATFORM +DIGEST +SIZE\nlinux\/amd64 +sha256:[0-9a-f]{64} +\d/,
        /LAYER +SIZE +TYPE +ALSO IN\nsha256:[0-9a-f]{64} .* 1\.0, 2\.0\n/,
        /V1 IMAGE +SIZE +CREATED +CREATED BY\n[0-9a-f]{12} /,
      ]) {
        expect(text).to.match(expected);
      }
    });

    it(`fails for what is not there ${way}`, async () => {
      const { code, stdout, stderr } = await registryctl(["inspect", "team/app:none", ...args()], { cwd });
      expect([code, stdout]).to.deep.equal([1, ""]);
      expect(stderr).to.contain("can't show team/app:none");
    });
  }

  it("says that an old image is not ready for V2 yet, without making it so", async () => {
    const { v2, v1 } = JSON.parse(
      await succeeds(["inspect", "library/ubuntu:v0.0_rc-1", "--json", "-c", "config.yml"], { cwd }),
    ) as Report;
    expect(v2.problem).to.contain("registryctl adopt --write");
    expect(v1.images?.length).to.equal(4);
  });

  it("calls a name without a tag's form wrong usage", async () => {
    for (const name of ["a:b:c/d", "@sha256:00", ":x", ""]) {
      expect((await registryctl(["inspect", name, "--url", server.url], { cwd })).code, name).to.equal(2);
    }
  });
});
