import { expect } from "chai";
import { emptyTar, emptyLayer } from "../../../../src/server/registry/bridge/empty-layer.ts";
import {
  parseImageManifest,
  type ImageLayer,
  type ImageManifest,
} from "../../../../src/server/registry/bridge/image-manifest.ts";
import { ociImageOf } from "../../../../src/server/registry/bridge/oci-image.ts";
import { v1ChainOf, type V1ChainImage } from "../../../../src/server/registry/bridge/v1-chain.ts";
import { digestOf } from "../../../../src/server/registry/digest.ts";
import {
  configType,
  gzippedTar,
  randomChain,
  randomDocument,
  randomValue,
  sampleDigest,
  v1Chain,
  gzippedLayer,
} from "../../../support/bridge-images.ts";
import { seededRandom, type Random } from "../../../support/random.ts";

type Document = Readonly<Record<string, unknown>>;

function layerOf(content: string): ImageLayer {
  return { digest: sampleDigest(content), size: content.length, mediaType: gzippedTar, compression: "gzip" };
}

function imageOf(...layers: readonly string[]): ImageManifest {
  return { config: { digest: sampleDigest("config"), size: 6, mediaType: configType }, layers: layers.map(layerOf) };
}

function documentOf(image: V1ChainImage | undefined): Document {
  return JSON.parse(image?.json(5).toString() ?? "") as Document;
}

/** The chain of an image with these layers and this configuration, and its documents. */
function shown(
  layers: readonly string[],
  config: object | string,
): { chain: readonly V1ChainImage[]; documents: readonly Document[] } {
  const chain = v1ChainOf(
    imageOf(...layers),
    Buffer.from(typeof config === "string" ? config : JSON.stringify(config)),
  );
  return { chain, documents: chain.map(documentOf) };
}

/** As buildkit writes it: no container_config, no docker_version, a number beyond 2^53. */
const today = `{"architecture":"arm64","variant":"v8","os":"linux","created":"2024-05-06T07:08:09.123456789+02:00","author":"Zoë","config":{"Env":["PATH=/bin"],"Cmd":["/bin/hello"],"Labels":null,"Healthcheck":{"Interval":9223372036854771712}},"rootfs":{"type":"layers","diff_ids":["${sampleDigest("diff 0")}","${sampleDigest("diff 1")}"]},"history":[{"created":"2024-05-05T00:00:00Z","created_by":"COPY . /","comment":"buildkit"},{"created_by":"ENV A=1","empty_layer":true},{"created":"2024-05-06T07:08:09Z","created_by":"RUN make","author":"é"}]}`;

describe("the V1 images of an OCI image", () => {
  it("are one for each layer, base first, the last with the configuration", () => {
    const { chain } = shown(["base", "top"], today);
    const [base, top] = chain;
    expect(chain.map(({ json }) => json(5).toString())).to.deep.equal([
      `{"Size":5,"comment":"buildkit","container_config":{"Cmd":["COPY . /"]},"created":"2024-05-05T00:00:00Z","id":"${base!.id}"}`,
      `{"Size":5,"architecture":"arm64","author":"Zoë","config":{"Cmd":["/bin/hello"],"Env":["PATH=/bin"],"Healthcheck":{"Interval":9223372036854771712}},"container_config":{"Cmd":["RUN make"],"Env":["PATH=/bin"],"Healthcheck":{"Interval":9223372036854771712}},"created":"2024-05-06T07:08:09.123456789+02:00","docker_version":"","id":"${top!.id}","os":"linux","parent":"${base!.id}","variant":"v8"}`,
    ]);
    expect(chain.map(({ parent }) => parent)).to.deep.equal([undefined, base!.id]);
    expect(chain.map(({ layer }) => layer)).to.deep.equal([layerOf("base"), layerOf("top")]);
    expect(chain.map(({ diffId }) => diffId)).to.deep.equal([sampleDigest("diff 0"), sampleDigest("diff 1")]);
  });

  it("never change their ids", () => {
    expect(shown(["base", "top"], today).chain.map(({ id }) => id)).to.deep.equal([
      "93afec95a1f4d5ff7124d64c3e739e033fffd4dc4e97e0435a94f88ba3363be8",
      "a42fb1fd8bed19ea27b240d23e91fe3fbd25a661879f94d28a7695e070b2aff2",
    ]);
    expect(shown([], "{}").chain.map(({ id }) => id)).to.deep.equal([
      "b359f7edfc2d7d240da6e40f55bacd64d76b669734b9bbb1c59bae20d88f57d9",
    ]);
  });

  it("have ids that neither the size nor the spacing of the configuration changes", () => {
    const { chain } = shown(["base", "top"], { author: "a", os: "linux" });
    expect(shown(["base", "top"], ` { "os": "linux",\n"author" : "\\u0061" }`).chain.map(({ id }) => id)).to.deep.equal(
      chain.map(({ id }) => id),
    );
    expect(JSON.parse(chain[1]!.json(7).toString())).to.deep.include({ Size: 7, id: chain[1]!.id });
  });

  it("are shared by images with the same first layers and history", () => {
    const history = (...commands: readonly string[]) => commands.map((created_by) => ({ created_by }));
    const one = shown(["a", "b", "c"], { history: history("x", "y", "z") }).chain;
    const other = shown(["a", "b", "d", "e"], { history: history("x", "y", "z", "z") }).chain;
    const differing = shown(["a", "b", "c"], { history: history("x", "Y", "z") }).chain;
    expect(other.slice(0, 2).map(({ id }) => id)).to.deep.equal(one.slice(0, 2).map(({ id }) => id));
    expect(other[2]!.id).not.to.equal(one[2]!.id);
    expect(differing.map(({ id }, index) => id === one[index]!.id)).to.deep.equal([true, false, false]);
  });

  it("have ids of their own when a layer comes twice", () => {
    const { chain } = shown(["same", "same", "same"], "{}");
    expect(new Set(chain.map(({ id }) => id))).to.have.property("size", 3);
  });

  it("have another id for another layer, parent or word of the configuration", () => {
    const ids = [
      shown(["a", "b"], "{}"),
      shown(["a", "c"], "{}"),
      shown(["c", "b"], "{}"),
      shown(["a", "b"], { author: "x" }),
      shown(["b"], "{}"),
    ].map(({ chain }) => chain.at(-1)!.id);
    expect(new Set(ids)).to.have.property("size", ids.length);
  });

  for (const [what, history] of [
    ["missing", undefined],
    ["null", null],
    ["shorter than the layers", [{ created_by: "x" }]],
    ["longer than the layers", [{ created_by: "x" }, { created_by: "y" }, { created_by: "z" }]],
    ["all empty layers", [{ created_by: "x", empty_layer: true }]],
    ["no list of objects", ["x", "y"]],
    ["of other types", [{ created_by: 1, created: "soon", author: [] }, { created_by: "" }]],
  ] as const) {
    it(`do not say who made their layers when the history is ${what}`, () => {
      const { documents, chain } = shown(["a", "b"], { history, config: { Cmd: ["/run"] } });
      expect(documents[0]).to.deep.equal({ id: chain[0]!.id, Size: 5 });
      expect(documents[1]).to.deep.include({ config: { Cmd: ["/run"] }, container_config: { Cmd: ["/run"] } });
    });
  }

  it("keep the container_config that docker wrote, and the version", () => {
    const container_config = { Cmd: ["/bin/sh", "-c", "#(nop) CMD"], Hostname: "x" };
    const config = {
      container_config,
      docker_version: "20.10.24",
      config: { Cmd: ["a"] },
      history: [{ created_by: "y" }],
    };
    expect(shown(["a"], config).documents[0]).to.deep.include({ container_config, docker_version: "20.10.24" });
  });

  it("can be run by docker 1.3 whatever the configuration leaves out or puts oddly", () => {
    for (const config of ["{}", '{"config":null}', '{"config":7,"architecture":"","os":null,"container_config":[]}']) {
      expect(shown(["a"], config).documents[0]).to.deep.include({
        config: {},
        container_config: {},
        architecture: "amd64",
        os: "linux",
        docker_version: "",
      });
    }
  });

  it("are one with docker's empty layer when there are no layers", () => {
    const { chain, documents } = shown([], { history: [{ created_by: "ENV A=1", empty_layer: true }] });
    expect(chain).to.have.length(1);
    expect(chain[0]!.layer).to.equal(emptyLayer);
    expect(chain[0]!.diffId).to.equal("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
    expect(digestOf(emptyTar)).to.equal(emptyLayer.digest);
    expect(documents[0]).not.to.have.property("parent");
  });

  it("have diff ids only where the configuration has one for each layer", () => {
    const diff_ids = [sampleDigest("x")];
    expect(shown(["a"], { rootfs: { diff_ids } }).chain[0]!.diffId).to.equal(diff_ids[0]);
    expect(shown(["a", "b"], { rootfs: { diff_ids } }).chain.map(({ diffId }) => diffId)).to.deep.equal([
      undefined,
      undefined,
    ]);
    expect(shown(["a"], { rootfs: { diff_ids: ["x"] } }).chain[0]!.diffId).to.equal(undefined);
    expect(shown(["a"], { rootfs: null }).chain[0]!.diffId).to.equal(undefined);
  });

  for (const config of ["", "null", "[]", "{", '{"a":1}x']) {
    it(`are refused when the configuration is ${config}`, () => {
      expect(() => shown(["a"], config))
        .to.throw("The image cannot be translated: its configuration is damaged")
        .with.property("code", "IMAGE_UNTRANSLATABLE");
    });
  }

  it("are another chain than the one the image came from, but always the same", () => {
    const pushed = v1Chain([{ author: "é" }, gzippedLayer("one")], [{ config: {} }, gzippedLayer("two")]);
    const chains = [0, 1].map(() => {
      const { manifest, config } = ociImageOf(pushed);
      return v1ChainOf(parseImageManifest(manifest.bytes), config.bytes).map(({ id }) => id);
    });
    expect(chains[0]).to.deep.equal(chains[1]);
    expect(chains[0]).not.to.include.members(pushed.map(({ id }) => id));
  });

  it("lead to the same configuration, history and layers when they are translated back", () => {
    const { chain } = shown(["base", "top"], today);
    const back = ociImageOf(
      chain.map(({ id, json, layer, diffId }) => ({ id, json: json(1), layer: { ...layer, diffId: diffId! } })),
    );
    const { history, ...original } = JSON.parse(today) as { readonly history: readonly Document[] };
    const returned = JSON.parse(back.config.bytes.toString()) as Document & { readonly history: readonly Document[] };
    expect(back.layers.map(({ digest }) => digest)).to.deep.equal([sampleDigest("base"), sampleDigest("top")]);
    expect(returned).to.deep.include({
      author: "Zoë",
      architecture: "arm64",
      variant: "v8",
      created: (original as Document)["created"],
    });
    expect(returned.history.map((entry) => entry["created_by"])).to.deep.equal(
      history.filter((entry) => entry["empty_layer"] !== true).map((entry) => entry["created_by"]),
    );
  });

  it("are valid and always the same, whatever the configuration says", function () {
    const random = seededRandom(this);
    for (let round = 0; round < 300; round++) {
      const { manifest, config } = randomImage(random);
      const chain = v1ChainOf(manifest, config);
      expect(v1ChainOf(manifest, Buffer.from(config)).map(shape), `round ${round}`).to.deep.equal(chain.map(shape));
      expectConsistent(chain, manifest);
    }
  });

  it("are valid for every image that came through V1", function () {
    const random = seededRandom(this);
    for (let round = 0; round < 100; round++) {
      const image = ociImageOf(randomChain(random));
      const manifest = parseImageManifest(image.manifest.bytes);
      expectConsistent(v1ChainOf(manifest, image.config.bytes), manifest);
    }
  });
});

function shape({ id, json }: V1ChainImage): string {
  return `${id} ${json(3).toString()}`;
}

function randomImage(random: Random): { readonly manifest: ImageManifest; readonly config: Buffer } {
  const count = random(6);
  const history = Array.from({ length: count + (random(4) === 0 ? random(3) : 0) }, () =>
    random(6) === 0 ? randomValue(random) : { created_by: `RUN ${random(5)}`, created: "2024-01-01T00:00:00Z" },
  );
  const rootfs = { type: "layers", diff_ids: Array.from({ length: count }, (_, index) => sampleDigest(`${index}`)) };
  const config = { ...randomDocument(random), ...(random(5) > 0 && { history }), ...(random(5) > 0 && { rootfs }) };
  const layers = Array.from({ length: count }, () => `layer ${random(3)}`);
  return { manifest: imageOf(...layers), config: Buffer.from(JSON.stringify(config)) };
}

function expectConsistent(chain: readonly V1ChainImage[], { layers }: ImageManifest): void {
  expect(chain.map(({ layer }) => layer)).to.deep.equal(layers.length === 0 ? [emptyLayer] : layers);
  expect(new Set(chain.map(({ id }) => id))).to.have.property("size", chain.length);
  for (const [index, image] of chain.entries()) {
    const document = documentOf(image);
    expect(image.id).to.match(/^[0-9a-f]{64}$/);
    expect(document).to.include({ id: image.id, Size: 5 });
    expect(document["parent"]).to.equal(index === 0 ? undefined : chain[index - 1]!.id);
    expect(document).not.to.have.any.keys("rootfs", "history");
    const time = document["created"];
    if (time !== undefined) expect(time).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
  }
  const top = documentOf(chain.at(-1));
  for (const key of ["config", "container_config"]) {
    const { Cmd, Env } = top[key] as Document;
    for (const list of [Cmd, Env]) if (list !== undefined) expect(list).to.satisfy(isTexts);
  }
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
