import { expect } from "chai";
import { ociImageOf, type OciImage, type V1ImageSource } from "../../../../src/server/registry/bridge/oci-image.ts";
import { digestOf } from "../../../../src/server/registry/digest.ts";
import { parseManifest } from "../../../../src/server/registry/manifest.ts";
import {
  emptyLayerSource,
  gzippedLayer,
  plainLayer,
  randomChain,
  sampleId,
  v1Chain,
} from "../../../support/bridge-images.ts";
import { seededRandom } from "../../../support/random.ts";

interface Config {
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
  readonly history: readonly Readonly<Record<string, unknown>>[];
  readonly [key: string]: unknown;
}

interface ManifestDocument {
  readonly config: object;
  readonly layers: readonly { readonly mediaType: string; readonly digest: string; readonly size: number }[];
}

function configOf({ config }: OciImage): Config {
  return JSON.parse(config.bytes.toString()) as Config;
}

function manifestOf({ manifest }: OciImage): ManifestDocument {
  return JSON.parse(manifest.bytes.toString()) as ManifestDocument;
}

/** The configuration of an image of one layer. */
function converted(document: object | string): Config {
  return configOf(ociImageOf(v1Chain([document, gzippedLayer("one")])));
}

/** What docker 1.5 wrote, in its order and with a number beyond 2^53. */
const docker15 = `{"id":"${sampleId(1)}","parent":"${sampleId(0)}","created":"2014-06-02T10:00:00.123456789Z","container":"d0f631ca1ddb","container_config":{"Hostname":"d0f631ca1ddb","Domainname":"","User":"","Memory":9223372036854771712,"MemorySwap":-1,"CpuShares":0,"Cpuset":"","AttachStdin":false,"PortSpecs":null,"ExposedPorts":null,"Tty":false,"Env":["PATH=/bin"],"Cmd":["/bin/sh","-c","#(nop) CMD [/bin/hello] \\u003c"],"Image":"${sampleId(0)}","Volumes":null,"WorkingDir":"","Entrypoint":null,"NetworkDisabled":false,"MacAddress":"","OnBuild":[]},"docker_version":"1.5.0","author":"Zoë <zoë@example.org>","config":{"Hostname":"d0f631ca1ddb","User":"","Memory":9223372036854771712,"PortSpecs":null,"ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin"],"Cmd":["/bin/hello"],"Volumes":null,"Entrypoint":null,"OnBuild":[]},"architecture":"amd64","os":"linux","Size":300000}`;

describe("an OCI image of V1 images", () => {
  const chain = v1Chain(
    [{ created: "2014-06-01T10:00:00Z", author: "curator é", comment: "Imported", Size: 5 }, gzippedLayer("base")],
    [docker15, plainLayer(Buffer.from("top"))],
  );

  it("has the configuration of the last, in canonical form", () => {
    const image = ociImageOf(chain);
    const [base, top] = chain.map(({ layer }) => layer.diffId);
    expect(image.config.bytes.toString()).to.equal(
      `{"architecture":"amd64","author":"Zoë <zoë@example.org>","config":{"Cmd":["/bin/hello"],"Env":["PATH=/bin"],"ExposedPorts":{"80/tcp":{}},"Hostname":"d0f631ca1ddb","Memory":9223372036854771712,"OnBuild":[],"User":""},"container":"d0f631ca1ddb","container_config":{"AttachStdin":false,"Cmd":["/bin/sh","-c","#(nop) CMD [/bin/hello] <"],"CpuShares":0,"Cpuset":"","Domainname":"","Env":["PATH=/bin"],"Hostname":"d0f631ca1ddb","Image":"${sampleId(0)}","MacAddress":"","Memory":9223372036854771712,"MemorySwap":-1,"NetworkDisabled":false,"OnBuild":[],"Tty":false,"User":"","WorkingDir":""},"created":"2014-06-02T10:00:00.123456789Z","docker_version":"1.5.0","history":[{"author":"curator é","comment":"Imported","created":"2014-06-01T10:00:00Z"},{"author":"Zoë <zoë@example.org>","created":"2014-06-02T10:00:00.123456789Z","created_by":"/bin/sh -c #(nop) CMD [/bin/hello] <"}],"os":"linux","rootfs":{"diff_ids":["${base}","${top}"],"type":"layers"}}`,
    );
  });

  it("never changes its digests", () => {
    const { config, manifest } = ociImageOf(chain);
    expect(config.digest).to.equal("sha256:6875746e7f54bc4b683ce4131987bd4aa1e24fffebffd19bd898a3f928f7bd61");
    expect(manifest.digest).to.equal("sha256:2e713d949ebff70adfd9f487d5bfbca7df062ec15ac01c522de9064a29dbecb2");
    const modest = ociImageOf(v1Chain(["{}", gzippedLayer("base")], ["{}", emptyLayerSource]));
    expect(modest.config.digest).to.equal("sha256:baab3625b67d97634c11e453aa7a40f3877d104b1b7aded4fd937a41c62ab4e0");
    expect(modest.manifest.digest).to.equal("sha256:e68dfed6c7230f86930599ce42812bca28203a24f88eadaee76cc5fbf70e9913");
  });

  it("has a manifest over the same blobs, base first, that says what it is", () => {
    const image = ociImageOf(chain);
    const [base, top] = chain.map(({ layer }) => layer);
    expect(JSON.parse(image.manifest.bytes.toString())).to.deep.equal({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: {
        mediaType: "application/vnd.oci.image.config.v1+json",
        digest: image.config.digest,
        size: image.config.bytes.length,
      },
      layers: [
        { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: base!.digest, size: base!.size },
        { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: top!.digest, size: top!.size },
      ],
    });
    expect(image.manifest.digest).to.equal(digestOf(image.manifest.bytes));
    expect(image.layers).to.deep.equal(manifestOf(image).layers);
  });

  it("does not depend on the order or spacing of the JSON", () => {
    const spaced = JSON.stringify(JSON.parse(docker15.replaceAll("9223372036854771712", "1")), undefined, 2);
    const plain = docker15.replaceAll("9223372036854771712", "1");
    const other = spaced.replace(/"docker_version": "1.5.0",/, "").replace("{", '{"docker_version": "1.5.0",');
    expect(converted(other)).to.deep.equal(converted(plain));
    expect(ociImageOf(v1Chain([other, emptyLayerSource])).manifest.digest).to.equal(
      ociImageOf(v1Chain([plain, emptyLayerSource])).manifest.digest,
    );
  });

  it("leaves out where the V1 image stood", () => {
    const keys = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway", "ID", "RootFS"];
    const config = converted(Object.fromEntries(keys.map((key) => [key, "x"])));
    expect(Object.keys(config)).to.deep.equal(["architecture", "history", "os", "rootfs"]);
  });

  it("is of linux/amd64 when the JSON names no platform, and of the machine that docker 0.6 named otherwise", () => {
    expect(converted({})).to.include({ architecture: "amd64", os: "linux" });
    expect(converted({ architecture: null, os: "" })).to.include({ architecture: "amd64", os: "linux" });
    expect(converted({ architecture: "x86_64" })).to.include({ architecture: "amd64" });
    expect(converted({ architecture: "constructor" })).to.include({ architecture: "constructor" });
    expect(converted({ architecture: "arm", os: "freebsd" })).to.include({ architecture: "arm", os: "freebsd" });
  });

  for (const [what, document] of [
    ["null", { config: null, container_config: null }],
    ["missing", {}],
    ["of another type", { config: [], container_config: "x" }],
  ] as const) {
    it(`has no configuration of containers where the JSON's is ${what}`, () => {
      expect(converted(document)).not.to.have.any.keys("config", "container_config");
    });
  }

  for (const [Cmd, createdBy] of [
    [null, undefined],
    [[], undefined],
    ["/bin/sh -c true", "/bin/sh -c true"],
    [["/bin/sh", "-c", "a  b"], "/bin/sh -c a  b"],
    [["/bin/sh", 1], undefined],
    [{ "0": "x" }, undefined],
  ] as const) {
    it(`says ${String(createdBy)} of the command ${JSON.stringify(Cmd)}`, () => {
      expect(converted({ container_config: { Cmd } }).history[0]?.["created_by"]).to.equal(createdBy);
    });
  }

  it("makes one command of a text, as docker did", () => {
    expect(converted({ config: { Cmd: "/bin/sh", Entrypoint: "/init" } })["config"]).to.deep.equal({
      Cmd: ["/bin/sh"],
      Entrypoint: ["/init"],
    });
  });

  it("leaves out what would make clients refuse the image, and keeps what they don't know", () => {
    const config = {
      User: 0,
      Env: ["A=1", null],
      Labels: { a: 1 },
      Volumes: ["/x"],
      Memory: 1.5,
      Tty: "no",
      Other: [1, null],
    };
    expect(
      converted({ config, author: ["x"], comment: 1, created: "yesterday", other: { deep: null } }),
    ).to.deep.include({
      config: { Other: [1, null] },
      other: { deep: null },
      history: [{}],
    });
  });

  it("marks docker's empty layers in the history, and has no layer for them", () => {
    const image = ociImageOf(
      v1Chain(
        [{}, emptyLayerSource],
        [{ comment: "full" }, gzippedLayer("one")],
        [{ comment: "no byte" }, plainLayer(Buffer.alloc(0))],
      ),
    );
    expect(configOf(image).history).to.deep.equal([
      { empty_layer: true },
      { comment: "full" },
      { comment: "no byte", empty_layer: true },
    ]);
    expect(configOf(image).rootfs.diff_ids).to.deep.equal([gzippedLayer("one").diffId]);
    expect(manifestOf(image).layers.map(({ digest }) => digest)).to.deep.equal([gzippedLayer("one").digest]);
  });

  it("keeps the first of layers that are all empty", () => {
    const image = ociImageOf(v1Chain([{}, emptyLayerSource], [{}, emptyLayerSource]));
    expect(configOf(image).history).to.deep.equal([{}, { empty_layer: true }]);
    expect(manifestOf(image).layers.map(({ digest }) => digest)).to.deep.equal([
      "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
    ]);
  });

  for (const json of [
    "",
    "[]",
    "1",
    '{"a":',
    '{"author":"\xff"}',
    `{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`,
  ]) {
    it(`is refused when a JSON is ${json.slice(0, 14)}`, () => {
      const [image] = v1Chain(["{}", gzippedLayer("one")]);
      expect(() => ociImageOf([{ ...image!, json: Buffer.from(json, "latin1") }]))
        .to.throw(`The image cannot be translated: the JSON of image ${sampleId(0)} is damaged`)
        .with.property("code", "IMAGE_UNTRANSLATABLE");
    });
  }

  it("is a fault of the caller's with a layer that has to be repacked", () => {
    const xz = { ...gzippedLayer("one"), mediaType: "application/vnd.docker.image.rootfs.diff.tar.xz" };
    expect(() => ociImageOf(v1Chain([{}, xz])))
      .to.throw(Error, "repacked")
      .not.with.property("code");
    expect(() => ociImageOf([])).to.throw(Error, "at least one");
  });

  it("is valid and always the same, whatever the JSON says", function () {
    const random = seededRandom(this);
    for (let round = 0; round < 300; round++) {
      const images = randomChain(random);
      const image = ociImageOf(images);
      expect(ociImageOf(images.map(copied)), `round ${round}`).to.deep.equal(image);
      expectConsistent(image, images);
    }
  });
});

function copied({ id, json, layer }: V1ImageSource): V1ImageSource {
  return { id, json: Buffer.from(json), layer: { ...layer } };
}

function expectConsistent(image: OciImage, images: readonly V1ImageSource[]): void {
  const parsed = parseManifest(image.manifest.bytes, image.manifest.mediaType);
  expect(parsed.blobs).to.deep.equal([digestOf(image.config.bytes), ...image.layers.map(({ digest }) => digest)]);
  const { rootfs, history, architecture, os, created } = configOf(image);
  expect(history).to.have.length(images.length);
  expect(history.filter((entry) => entry["empty_layer"] !== true)).to.have.length(image.layers.length);
  expect(rootfs.diff_ids).to.have.length(image.layers.length).and.not.to.have.length(0);
  expect(architecture).to.be.a("string").and.not.to.equal("");
  expect(os).to.be.a("string").and.not.to.equal("");
  for (const time of [created, ...history.map((entry) => entry["created"])]) {
    if (time !== undefined) expect(time).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
  }
}
