import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { DockerRegistry } from "../../support/docker-registry.ts";
import { digestOf, imageType, indexType, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { needs } from "../../support/needs.ts";
import { Program, removeFolder, temporaryFolder } from "../../support/program.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { startRegistry } from "../../support/registry-server.ts";
import { tarOf } from "../../support/v1-images.ts";
import type { V1Client } from "../../support/v1-client.ts";
import { listType, Model, pages, schema2Type, type ModelManifest } from "../../support/v2-model.ts";

const names = ["alpine", "library/busybox", "a", "a-b", "a/b", "a/b/c/d/e", "x__y/z.z", "0/1", "team-1/app_2"];
const tags = ["latest", "v1", "V1", "1.0.0-rc.1_x", "_", "0"];

/** Somebody who pushes and deletes at random, and keeps account of it. */
class Pusher {
  readonly #model: Model;
  readonly #random: Random;
  readonly #client: V1Client;
  readonly #deletesTags: boolean;
  #count = 0;

  constructor(client: V1Client, model: Model, random: Random, options: { readonly deletesTags: boolean }) {
    this.#client = client;
    this.#model = model;
    this.#random = random;
    this.#deletesTags = options.deletesTags;
  }

  async act(): Promise<void> {
    const name = this.#pick(names);
    const acts = [
      async () => {
        await this.image(name);
      },
      async () => {
        await this.image(name);
      },
      async () => {
        await this.image(name);
      },
      async () => {
        await this.index(name);
      },
      async () => {
        await this.retag(name);
      },
      async () => {
        await this.mount(name);
      },
      async () => {
        await this.deleteManifest(name);
      },
      async () => {
        await this.deleteBlob(name);
      },
      async () => {
        await this.abandonUpload(name);
      },
      ...(this.#deletesTags
        ? [
            async () => {
              await this.deleteTag(name);
            },
          ]
        : []),
    ];
    await this.#pick(acts)();
  }

  async image(name: string): Promise<void> {
    const isOci = this.#random(2) === 0;
    const type = isOci ? imageType : schema2Type;
    const layer = isOci
      ? "application/vnd.oci.image.layer.v1.tar+gzip"
      : "application/vnd.docker.image.rootfs.diff.tar.gzip";
    const config = isOci
      ? "application/vnd.oci.image.config.v1+json"
      : "application/vnd.docker.container.image.v1+json";
    const layers = Array.from({ length: this.#random(4) }, () => this.#bytes(this.#random(100_000) + 2));
    const foreign = {
      mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
      digest: digestOf("elsewhere"),
      size: 9,
      urls: ["https://layers.test/x"],
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: type,
      config: await this.#blob(name, config, Buffer.from(`{"count":${this.#count++}}`)),
      layers: [
        ...(await Promise.all(layers.map(async (bytes) => await this.#blob(name, layer, bytes)))),
        ...(this.#random(8) === 0 && !isOci ? [foreign] : []),
      ],
      ...(isOci && { annotations: { "org.test.count": String(this.#count) } }),
    };
    await this.#manifest(name, { bytes: Buffer.from(JSON.stringify(manifest, undefined, this.#random(4))), type });
  }

  async index(name: string): Promise<void> {
    const type = this.#random(2) === 0 ? listType : indexType;
    const images = [...this.#model.repository(name).manifests].filter(([, found]) => !isIndex(found));
    if (images.length === 0) return;
    const children = images.slice(0, 1 + this.#random(3)).map(([digest, found], at) => ({
      mediaType: found.type,
      digest,
      size: found.bytes.length,
      platform: { os: "linux", architecture: ["amd64", "arm64", "s390x"][at] },
    }));
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: children }));
    await this.#manifest(name, { bytes, type });
  }

  async retag(name: string): Promise<void> {
    const { manifests, blobs } = this.#model.repository(name);
    const whole = [...manifests.values()].filter((found) =>
      references(found).every((digest) => blobs.has(digest) || manifests.has(digest)),
    );
    if (whole.length > 0) await this.#manifest(name, this.#pick(whole), this.#pick(tags));
  }

  async mount(name: string): Promise<void> {
    const from = this.#pick(names);
    const [found] = [...this.#model.repository(from).blobs];
    if (!found || from === name) return;
    await this.#client.expect([201], "POST", `/v2/${name}/blobs/uploads/?mount=${found[0]}&from=${from}`);
    this.#model.hasBlob(name, found[1]);
  }

  async deleteManifest(name: string): Promise<void> {
    const [digest] = [...this.#model.repository(name).manifests.keys()];
    if (digest === undefined) return;
    await this.#client.expect([202], "DELETE", `/v2/${name}/manifests/${digest}`);
    this.#model.lostManifest(name, digest);
  }

  /** The last one stays: what a repository is that has none, the two see differently. */
  async deleteBlob(name: string): Promise<void> {
    const [digest, ...others] = [...this.#model.repository(name).blobs.keys()];
    if (digest === undefined || others.length === 0) return;
    await this.#client.expect([202], "DELETE", `/v2/${name}/blobs/${digest}`);
    this.#model.lostBlob(name, digest);
  }

  async deleteTag(name: string): Promise<void> {
    const [tag] = [...this.#model.repository(name).tags.keys()];
    if (tag === undefined) return;
    await this.#client.expect([202], "DELETE", `/v2/${name}/manifests/${tag}`);
    this.#model.lostTag(name, tag);
  }

  async abandonUpload(name: string): Promise<void> {
    if (this.#model.repository(name).blobs.size === 0) return;
    const location = await this.#begin(name);
    await this.#client.expect([202], "PATCH", location, { body: this.#bytes(1000) });
  }

  async #manifest(name: string, manifest: ModelManifest, tag?: string): Promise<void> {
    const isTagged = tag !== undefined || this.#random(4) > 0;
    const reference = isTagged ? (tag ?? this.#pick(tags)) : digestOf(manifest.bytes);
    const put = { headers: { "Content-Type": manifest.type }, body: manifest.bytes };
    const answer = await this.#client.expect([201], "PUT", `/v2/${name}/manifests/${reference}`, put);
    const digest = this.#model.hasManifest(name, manifest, isTagged ? reference : undefined);
    expect(answer.headers["docker-content-digest"]).to.equal(digest);
  }

  async #blob(name: string, mediaType: string, bytes: Buffer): Promise<object> {
    const digest = digestOf(bytes);
    let location = await this.#begin(name);
    const cuts = [0, 0, 1, 3][this.#random(4)] ?? 0;
    const size = Math.ceil(bytes.length / (cuts + 1));
    for (let at = 0; at < cuts; at++) {
      const body = bytes.subarray(at * size, (at + 1) * size);
      const answer = await this.#client.expect([202], "PATCH", location, { body });
      location = answer.headers.location ?? "";
    }
    const put = `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;
    await this.#client.expect([201], "PUT", put, { body: bytes.subarray(cuts * size) });
    this.#model.hasBlob(name, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  async #begin(name: string): Promise<string> {
    const { headers } = await this.#client.expect([202], "POST", `/v2/${name}/blobs/uploads/`);
    return headers.location ?? "";
  }

  #bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#random(256)));
  }

  #pick<T>(items: readonly [T, ...T[]] | readonly T[]): T {
    return items[this.#random(items.length)]!;
  }
}

function isIndex({ type }: ModelManifest): boolean {
  return type === listType || type === indexType;
}

function references({ bytes }: ModelManifest): readonly string[] {
  const text = bytes.toString().replace(/\{[^{}]*"urls"[^{}]*\}/gs, "");
  return [...text.matchAll(/sha256:[0-9a-f]{64}/g)].map(([digest]) => digest);
}

describe("a store shared with docker-registry 2.8", function () {
  this.timeout(300_000);
  let store: string;
  let folder: string;
  const closers: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    folder = await temporaryFolder();
    store = join(folder, "store");
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
    await removeFolder(folder);
  });

  /** Lets `work` use a registry on the store, and stops it. */
  async function with282(
    context: Mocha.Context,
    work: (client: V1Client, url: string) => Promise<void>,
  ): Promise<void> {
    const registry = await DockerRegistry.start(context, store);
    closers.push(async () => {
      await registry.stop();
    });
    await work(registry.client, registry.url);
    await registry.stop();
  }
  async function withOurs(work: (client: V1Client, url: string) => Promise<void>): Promise<void> {
    const registry = await startRegistry({ storage: "local", storage_path: store });
    try {
      await work(registry.client, registry.url);
    } finally {
      await registry.close();
    }
  }

  it("is served whole by either, whoever wrote and deleted last", async function () {
    const random = seededRandom(this);
    const model = new Model();
    for (let round = 0; round < 6; round++) {
      const writes = async (client: V1Client, who: string) => {
        const pusher = new Pusher(client, model, random, { deletesTags: who === "registryctl" });
        if (round === 0) for (const name of names) await pusher.image(name);
        for (let count = 0; count < 40; count++) await pusher.act();
        await model.expectServed(client, `round ${round}, ${who} after its own`);
      };
      const reads = async (client: V1Client, who: string) => {
        await model.expectServed(client, `round ${round}, ${who} after the other`);
      };
      if (round % 2 === 0) {
        await with282(this, async (client) => {
          await writes(client, "docker-registry");
        });
        await withOurs(async (client) => {
          await reads(client, "registryctl");
        });
      } else {
        await withOurs(async (client) => {
          await writes(client, "registryctl");
        });
        await with282(this, async (client) => {
          await reads(client, "docker-registry");
        });
      }
    }
  });

  it("is listed page by page as docker-registry lists it", async function () {
    const model = new Model();
    const random = seededRandom(this);
    const many = Array.from({ length: 40 }, (_, at) => `many/${["r", "r-", "r/"][at % 3]}${at}`);
    await with282(this, async (client) => {
      const pusher = new Pusher(client, model, random, { deletesTags: false });
      for (const name of many) await pusher.image(name);
      for (const tag of Array.from({ length: 30 }, (_, at) => `t${at}`)) {
        const [, manifest] = [...model.repository(many[0]!).manifests][0]!;
        const put = { headers: { "Content-Type": manifest.type }, body: manifest.bytes };
        await client.expect([201], "PUT", `/v2/${many[0]}/manifests/${tag}`, put);
        model.hasManifest(many[0]!, manifest, tag);
      }
      await model.expectServed(client, "docker-registry");
    });
    await withOurs(async (client) => {
      await model.expectServed(client, "registryctl");
      expect(await pages(client, "/v2/_catalog?n=3", "repositories")).to.deep.equal([...many].sort());
      const expected = [...model.repository(many[0]!).tags.keys()].sort();
      expect(await pages(client, `/v2/${many[0]}/tags/list?n=4`, "tags")).to.deep.equal(expected);
    });
  });

  it("is no repository for either where only an upload was begun", async function () {
    await with282(this, async (client) => {
      const { headers } = await client.expect([202], "POST", "/v2/begun/blobs/uploads/");
      await client.expect([202], "PATCH", headers.location ?? "", { body: Buffer.from("abc") });
      expect(await pages(client, "/v2/_catalog", "repositories")).to.deep.equal([]);
    });
    await withOurs(async (client) => {
      expect(await pages(client, "/v2/_catalog", "repositories")).to.deep.equal([]);
      await client.expect([404], "GET", "/v2/begun/tags/list");
    });
  });

  it("has nothing of ours that docker-registry trips over: artifacts, sha512, a subject's fallback tag", async function () {
    const model = new Model();
    const empty = { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf("{}"), size: 2 };
    const artifact = {
      schemaVersion: 2,
      mediaType: imageType,
      artifactType: "application/vnd.test.thing",
      config: empty,
      layers: [empty],
      subject: { mediaType: imageType, digest: digestOf("not there"), size: 9 },
    };
    const bytes = Buffer.from(JSON.stringify(artifact));
    const put = { headers: { "Content-Type": imageType }, body: bytes };
    const sha512 = digestOf("long", "sha512");
    await withOurs(async (client) => {
      await client.expect([201], "POST", `/v2/things/blobs/uploads/?digest=${empty.digest}`, {
        body: Buffer.from("{}"),
      });
      await client.expect([201], "POST", `/v2/things/blobs/uploads/?digest=${sha512}`, { body: Buffer.from("long") });
      await client.expect([201], "PUT", "/v2/things/manifests/v1", put);
      model.hasBlob("things", Buffer.from("{}"));
      model.hasManifest("things", { bytes, type: imageType }, "v1");
      await client.expect([202], "DELETE", `/v2/things/manifests/${digestOf(bytes)}`);
      await client.expect([201], "PUT", "/v2/things/manifests/v1", put);
    });
    await with282(this, async (client) => {
      await model.expectServed(client, "docker-registry");
      const long = await client.expect([200], "GET", `/v2/things/blobs/${sha512}`);
      expect(long.body.toString()).to.equal("long");
      const index = { schemaVersion: 2, mediaType: indexType, manifests: [] };
      const fallback = artifact.subject.digest.replace(":", "-");
      const listed = { mediaType: imageType, digest: digestOf(bytes), size: bytes.length };
      await client.expect([201], "PUT", `/v2/things/manifests/${fallback}`, {
        headers: { "Content-Type": indexType },
        body: Buffer.from(JSON.stringify({ ...index, manifests: [listed] })),
      });
    });
    await withOurs(async (client) => {
      const found = await client.expect([200], "GET", `/v2/things/referrers/${artifact.subject.digest}`);
      const { manifests } = JSON.parse(found.body.toString()) as { manifests: readonly { digest: string }[] };
      expect(manifests.map(({ digest }) => digest)).to.deep.equal([digestOf(bytes)]);
    });
  });

  it("gives images of schema 1, and clients of today take them", async function () {
    const [skopeo = ""] = needs(this, "skopeo");
    const tar = await tarOf("old", 1000);
    const [layer, type] = [gzipSync(tar), "application/vnd.docker.image.rootfs.diff.tar.gzip"];
    const config = {
      ...{ architecture: "amd64", os: "linux", created: "2020-01-01T00:00:00Z", config: {} },
      rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
      history: [{ created: "2020-01-01T00:00:00Z", created_by: "hand" }],
    };
    const copy = async (...args: readonly string[]) => {
      const program = new Program(skopeo, ["--insecure-policy", "copy", "-q", ...args]);
      expect(await program.exited, program.output).to.equal(0);
    };
    await with282(this, async (client, url) => {
      const json = Buffer.from(JSON.stringify(config));
      await pushManifest(
        client,
        "new",
        "v1",
        {
          schemaVersion: 2,
          mediaType: schema2Type,
          config: await pushBlob(client, "new", json, "application/vnd.docker.container.image.v1+json"),
          layers: [await pushBlob(client, "new", layer, type)],
        },
        schema2Type,
      );
      const [from, to] = ["new", "old/one"].map((name) => `docker://${new URL(url).host}/${name}:v1`);
      await copy("--format=v2s1", "--src-tls-verify=false", "--dest-tls-verify=false", from!, to!);
    });
    await withOurs(async (client, url) => {
      const answer = await client.expect([200], "GET", "/v2/old/one/manifests/v1");
      expect(answer.headers["content-type"]).to.equal("application/vnd.docker.distribution.manifest.v1+json");
      expect(answer.headers["docker-content-digest"]).to.equal(digestOf(answer.body));
      await copy("--src-tls-verify=false", `docker://${new URL(url).host}/old/one:v1`, `dir:${join(folder, "pulled")}`);
      await client.expect([202], "DELETE", `/v2/old/one/manifests/${digestOf(answer.body)}`);
    });
  });
});
