import { createHash } from "node:crypto";
import { expect } from "chai";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { DriverError } from "../../../src/drivers/storage/errors.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { copyAll, type RunOptions } from "../../../src/server/maintenance/copy/run.ts";
import { everything, named } from "../../../src/server/maintenance/copy/selection.ts";
import { sideOf, type Side } from "../../../src/server/maintenance/copy/side.ts";
import { CountingSink, StoringSink, type SinkOptions } from "../../../src/server/maintenance/copy/sink.ts";
import type { Problem } from "../../../src/server/registry/bridge/problems.ts";
import { parseDigest, type Digest } from "../../../src/server/registry/digest.ts";
import { LayerAnalysis } from "../../../src/server/registry/layers/analysis.ts";
import { ociIndex, ociManifest, parseStoredManifest } from "../../../src/server/registry/manifest.ts";
import { parseImageId } from "../../../src/server/registry/names.ts";
import { parseOciName, parseOciTag } from "../../../src/server/registry/oci-names.ts";
import { blobKey, digestOfLink, layerLinkKey, manifestLinkKey } from "../../../src/server/registry/paths.ts";
import { failing } from "../../support/failing-driver.ts";
import { oldStore } from "../../support/old-store.ts";
import { registryCores } from "../../support/registry-cores.ts";
import { bytesOf, keysOf, outcome, put, source, textOf } from "../../support/storage-content.ts";

const signal = new AbortController().signal;
const old = oldStore("0.7.1", 3);
const name = parseOciName("team/app");

describe("a copy between stores", function () {
  this.timeout(300_000);
  const over = registryCores();
  const analysis = new LayerAnalysis();
  after(async () => {
    await analysis.close();
  });
  let from: StorageDriver;
  beforeEach(async () => {
    from = openMemory();
    for (const [key, content] of old.files) await from.write(key, source(content));
    await fill(from);
  });

  const side = (driver: StorageDriver): Side => sideOf({ driver, registry: over(driver) });

  /** An image, an index of it and of one that is not there, what refers to it, and a blob by sha512. */
  async function fill(driver: StorageDriver): Promise<void> {
    const { blobs, linkedBlobs, manifests } = over(driver);
    const blob = async (text: string) => {
      const { digest, size } = await blobs.put(source(text));
      await linkedBlobs.link(name, digest);
      return { digest, size, mediaType: "application/octet-stream" };
    };
    const push = async (value: object, ...tags: string[]) => {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...value }));
      const push = { bytes, contentType: undefined, digest: undefined, tags: tags.map(parseOciTag) };
      const { digest } = await manifests.put(name, push);
      return { digest, size: bytes.length, mediaType: ociManifest };
    };
    const image = await push({ config: await blob("{}"), layers: [await blob("layer"), await blob("more")] }, "v1", "latest"); // prettier-ignore
    await push({ mediaType: ociIndex, manifests: [image] }, "multi");
    await push({ config: await blob("{ }"), layers: [await blob("signature")], subject: image });
    await push({ config: await blob("{}"), layers: [await blob("other")] }, "latest");
  }

  async function run(driver: StorageDriver, more: Partial<RunOptions> & Partial<SinkOptions> = {}, source = from) {
    const problems: Problem[] = [];
    const [to, onProblem] = [side(driver), (problem: Problem) => problems.push(problem)];
    const sink = new StoringSink(driver, { jobs: 4, signal, onBytes: () => undefined, ...more });
    const options = { ...quiet, signal, onProblem, ...more };
    const counts = await copyAll({ from: side(source), to, sink, analysis }, everything(side(source)), options);
    return { ...counts, problems };
  }

  it("brings all that clients can pull, once", async () => {
    const to = openMemory();
    const first = await run(to);
    expect(first.problems).to.deep.equal([]);
    expect(first.tags).to.include({ copied: 3 + old.tags.length, there: 0 });
    await expectWhole(to);
    const derived = /_files$|_registryctl\/(layers|keys)/;
    const keys = async (driver: StorageDriver) => (await keysOf(driver, "")).filter((key) => !derived.test(key));
    expect((await keys(to)).map(plain).sort()).to.deep.equal((await keys(from)).map(plain).sort());
    const again = await run(to);
    expect(again.blobs).to.include({ copied: 0, repaired: 0, bytes: 0 });
    expect(again.blobs.there).to.be.greaterThan(old.tags.length);
    expect(again.images).to.deep.equal({ copied: 0, there: first.images.copied, unfinished: 0 });
    expect(again.tags).to.deep.equal({ copied: 0, replaced: 0, kept: 0, there: first.tags.copied });
  });

  it("leaves whole images alone behind, whichever call of either store fails, and goes on from there", async () => {
    const whole = openMemory();
    await run(whole);
    const expected = await tree(whole);
    const counted = failing(openMemory(), { nth: Infinity, when: "before" });
    await run(counted);
    const read = failing(from, { nth: Infinity, when: "before" });
    await run(openMemory(), {}, read);
    expect(counted.calls).to.be.greaterThan(100);
    for (const when of ["before", "after"] as const) {
      for (let nth = 1; nth <= counted.calls; nth += 7) {
        const to = openMemory();
        const error = new DriverError("NO_SPACE", "injected");
        const fault = failing(to, { nth, when, error });
        const ended = await outcome(run(fault));
        if (fault.fired) expect(ended, `call ${nth} ${when}`).to.equal("NO_SPACE");
        await expectWhole(to);
        await run(to);
        expect(await tree(to)).to.deep.equal(expected);
      }
    }
    for (let nth = 1; nth <= read.calls; nth += 11) {
      const to = openMemory();
      const error = new DriverError("REFUSED", "injected");
      expect(await outcome(run(to, {}, failing(from, { nth, when: "before", error })))).to.equal("REFUSED");
      await expectWhole(to);
    }
  });

  it("tries content again when a storage does not answer", async () => {
    const to = openMemory();
    let [bytes, failures] = [0, 0];
    const broken = writing(to, async (key, content, size) => {
      if (key !== blobKey(digestOf("layer")) || failures++ > 1) return await to.write(key, content, size);
      for await (const chunk of content) expect(chunk.length).to.be.greaterThan(0);
      throw new DriverError("UNAVAILABLE", "injected");
    });
    const { blobs } = await run(broken, { onBytes: (count) => (bytes += count) });
    expect(failures, "attempts").to.equal(3);
    expect(bytes).to.equal(blobs.bytes);
    await expectWhole(to);
  });

  it("counts beforehand what it will do, and writes nothing for that", async () => {
    let [bytes, tags] = [0, 0];
    const to = openMemory();
    const sink = new CountingSink({ signal, onBytes: (count) => (bytes += count) });
    const options = { ...quiet, signal, onTag: () => tags++ };
    const planned = await copyAll({ from: side(from), to: side(to), sink, analysis }, everything(side(from)), options);
    expect(await keysOf(to, "")).to.deep.equal([]);
    const { problems, ...counts } = await run(to);
    expect(problems).to.deep.equal([]);
    expect(planned).to.deep.equal(counts);
    expect([bytes, tags]).to.deep.equal([counts.blobs.bytes, counts.tags.copied]);
  });

  it("leaves out what is damaged, missing or unfinished, with what needs it", async () => {
    const [one] = old.tags;
    const id = parseImageId(one!.images[1]!.id);
    await put(from, blobKey(digestOf("layer")), "lAyer");
    await from.delete(blobKey(digestOf("signature")));
    await put(from, `images/${id}/_inprogress`, "true");
    await put(from, "repositories/library/ubuntu/tag_dangling", "no id");
    const to = openMemory();
    const { problems, images } = await run(to);
    const told = problems.map(({ kind, tag, digest }) => [kind, tag ?? digest?.slice(0, 14)]);
    expect(told).to.deep.include.members([
      ["blob-damaged", "v1"],
      ["blob-damaged", "multi"],
      ["blob-missing", digestOf("signature").slice(0, 14)],
      ["push-abandoned", one!.tag],
      ["tag-dangling", "dangling"],
    ]);
    expect(images.unfinished).to.equal(1);
    await expectWhole(to);
    const { own } = over(to);
    expect(await own.ociTags.digest(name, parseOciTag("latest"))).not.to.equal(undefined);
    expect(await own.ociTags.digest(name, parseOciTag("v1"))).to.equal(undefined);
  });

  it("copies an image that came after the list of images had named it", async () => {
    const [tag] = old.tags;
    const chain = tag?.images.map(({ id }) => `images/${id}/`) ?? [];
    let isThere = false;
    const late = new Proxy(from, {
      get(driver, method: keyof StorageDriver) {
        const value: unknown = Reflect.get(driver, method);
        if (typeof value !== "function") return value;
        return (key: string, ...rest: readonly unknown[]): unknown => {
          if (key.endsWith(`/tag_${tag?.tag ?? ""}`)) isThere = true;
          if (isThere || !chain.some((folder) => key.startsWith(folder))) return value.call(driver, key, ...rest);
          return Promise.reject(new DriverError("NOT_FOUND", `${key} is still to come`));
        };
      },
    });
    const { problems } = await run(openMemory(), {}, late);
    expect(problems).to.deep.equal([]);
  });

  it("reads back a layer that no checksum vouches for", async () => {
    const [one] = old.tags;
    const id = one!.images[0]!.id;
    await from.delete(`images/${id}/_checksum`);
    const to = openMemory();
    const flipping = writing(to, async (key, content, size) =>
      to.write(key, key.startsWith("_registryctl/uploads") ? flipped(content) : content, size),
    );
    const { problems } = await run(flipping);
    expect(problems.map(({ kind }) => kind)).to.include("layer-damaged");
    expect(await keysOf(to, `images/${id}`)).to.deep.equal([]);
    expect(await keysOf(to, "_registryctl/uploads")).to.deep.equal([]);
    expect((await run(to)).problems).to.deep.equal([]);
    expect(await bytesOf(to, `images/${id}/layer`)).to.deep.equal(one!.images[0]!.layer);
  });

  it("takes no layer that is not what its tarsum says, and mends one of the target's when it is asked to", async () => {
    const { files, tags } = oldStore("0.6.9", 7);
    const store = openMemory();
    for (const [key, content] of files) await store.write(key, source(content));
    const whole = openMemory();
    expect((await run(whole, {}, store)).problems).to.deep.equal([]);
    const last = (repository: string) => tags.find((tag) => tag.repository === repository)!.images.at(-1)!;
    const [packed, plain, empty, unread] = ["library/ubuntu", "team-3/app.3", "team-2/app.6", "foo/UPPER"].map(last);
    const other = last("library/app-5").layer;
    const flipped = Buffer.from(plain!.layer.map((byte, at) => (at === 600 ? byte ^ 1 : byte)));
    const damage = new Map([
      [packed, other],
      [plain, flipped],
      [empty, other],
      [unread, Buffer.from("no archive")],
    ]);
    for (const [image, bytes] of damage) await store.write(`images/${image!.id}/layer`, source(bytes));
    const to = openMemory();
    const { problems, blobs } = await run(to, {}, store);
    expect(
      problems
        .filter(({ tag }) => tag !== undefined)
        .map(({ kind, repository, tag, image }) => [kind, `${repository}:${tag}`, image]),
    ).to.have.deep.members([
      ["layer-damaged", "library/ubuntu:latest", packed!.id],
      ["layer-damaged", "team-3/app.3:latest", plain!.id],
      ["layer-damaged", "team-2/app.6:latest", empty!.id],
      ["layer-damaged", "foo/UPPER:latest", unread!.id],
    ]);
    const missing = (await keysOf(whole, "")).filter((key) => key.endsWith("/layer"));
    expect(blobs.copied).to.equal(missing.length - damage.size);
    for (const image of damage.keys()) expect(await keysOf(to, `images/${image!.id}`)).to.deep.equal([]);
    expect(await keysOf(to, "_registryctl/uploads")).to.deep.equal([]);
    const key = `images/${last("library/app-5").id}/layer`;
    await to.write(key, source(Buffer.alloc(other.length)));
    expect((await run(to, {}, store)).blobs).to.include({ copied: 0, repaired: 0 });
    expect((await run(to, { verify: true }, store)).blobs).to.include({ copied: 0, repaired: 1 });
    expect(await bytesOf(to, key)).to.deep.equal(other);
  });

  it("finds repositories by name, and by what a pattern fits", async () => {
    const found = async (...names: string[]) => {
      const selection = await named(side(from), names);
      const texts: string[] = [];
      for await (const each of selection.oci()) texts.push(each);
      for await (const each of selection.v1()) texts.push(`v1 ${each.namespace}/${each.name}`);
      return texts;
    };
    expect(await found("team/app")).to.deep.equal(["team/app"]);
    expect(await found("ubuntu")).to.deep.equal(["v1 library/ubuntu"]);
    expect(await found("library/ubuntu", "team/*")).to.deep.equal(["team/app", "v1 library/ubuntu"]);
    expect(await found("foo/UPPER", "foo/more/parts")).to.have.length(2);
    expect(await found("*")).to.have.length(4);
    for (const [names, says] of [
      [["team/app", "no/such"], "no repository no/such"],
      [["*", "no/*"], "no repository that no/* fits"],
    ] as const) {
      const error = await found(...names).catch((reason: unknown) => String(reason));
      expect(error).to.contain(says);
    }
  });

  /** What a client finds can be pulled: each name leads to content, and content is what its digest says. */
  async function expectWhole(driver: StorageDriver): Promise<void> {
    const { images, own } = over(driver);
    for (const key of await keysOf(driver, "docker/registry/v2/blobs")) {
      const digest = parseDigest(key.split("/").slice(4, 7).join(":").replace(/:..:/, ":"));
      expect(createHash("sha256").update(await bytesOf(driver, key)).digest("hex"), key).to.equal(digest.slice(7)); // prettier-ignore
    }
    for (const key of await keysOf(driver, "docker/registry/v2/repositories")) {
      const digest = parseDigest(await textOf(driver, key));
      expect(digestOfLink(key) ?? digest, key).to.equal(digest);
      const bytes = await bytesOf(driver, blobKey(digest));
      if (key.includes("/_layers/")) continue;
      await driver.stat(manifestLinkKey(name, digest));
      const { blobs, manifests } = parseStoredManifest(bytes);
      for (const blob of blobs)
        for (const needed of [layerLinkKey(name, blob), blobKey(blob)]) await driver.stat(needed);
      for (const child of manifests) await driver.stat(manifestLinkKey(name, child));
    }
    const wanted: string[] = [];
    for await (const repository of own.repositories.all()) {
      const exists = await own.repositories.exists(repository);
      if (exists) wanted.push(...(await own.tags.list(repository)).map(({ image }) => image));
    }
    for await (const id of driver.children("images")) {
      if (await outcome(driver.stat(`images/${id}/json`)) === "done") wanted.push(id); // prettier-ignore
    }
    for (const image of new Set(wanted)) {
      for (const id of await images.ancestry(parseImageId(image))) {
        expect(await images.state(id), id).to.equal("complete");
        expect((await images.layer(id)).size).to.be.greaterThan(0);
      }
    }
  }
});

const quiet = {
  keepTags: false,
  verify: false,
  onProblem: () => undefined,
  onTag: () => undefined,
  onChanged: async () => {
    await Promise.resolve();
  },
};

function digestOf(text: string): Digest {
  return parseDigest(`sha256:${createHash("sha256").update(text).digest("hex")}`);
}

/** The key as the latest version of the Python registry would have written it. */
function plain(key: string): string {
  return key.startsWith("repositories/") ? decodeURIComponent(decodeURIComponent(key)).replaceAll("+", " ") : key;
}

async function tree(driver: StorageDriver): Promise<readonly string[]> {
  const keys = await keysOf(driver, "");
  return await Promise.all(keys.map(async (key) => `${key} ${(await bytesOf(driver, key)).toString("base64")}`));
}

/** The driver with another way to write. */
function writing(driver: StorageDriver, write: StorageDriver["write"]): StorageDriver {
  return new Proxy(driver, {
    get: (target, property) => {
      const own = Reflect.get(target, property) as unknown;
      if (property === "write") return write;
      return typeof own === "function" ? (own.bind(target) as unknown) : own;
    },
  });
}

async function* flipped(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) yield Buffer.from(chunk).map((byte) => byte ^ 1);
}
