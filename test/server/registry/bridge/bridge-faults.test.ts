import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { openMemory } from "../../../../src/drivers/storage/memory.ts";
import { digestOf, digestParts, type Digest } from "../../../../src/server/registry/digest.ts";
import { Events } from "../../../../src/server/registry/events.ts";
import { parseImageDocument } from "../../../../src/server/registry/image-push.ts";
import { LayerAnalysis } from "../../../../src/server/registry/layers/analysis.ts";
import {
  parseImageId,
  parseRepositoryName,
  parseTagName,
  type ImageId,
} from "../../../../src/server/registry/names.ts";
import { parseOciName, parseOciTag } from "../../../../src/server/registry/oci-names.ts";
import { createRegistry, type Registry } from "../../../../src/server/registry/registry.ts";
import { failing, type FailingDriver } from "../../../support/failing-driver.ts";
import { bytesOf, keysOf, put } from "../../../support/storage-content.ts";
import { chunked, gathered, tarOf } from "../../../support/tar-bytes.ts";
import { imageOf, smallChain } from "../../../support/v1-images.ts";

const repository = parseRepositoryName("foo/bar");
const tag = parseTagName("v1");
const name = parseOciName("foo/bar");
const reference = { kind: "tag", tag: parseOciTag("v1") } as const;
const ociLayer = "application/vnd.oci.image.layer.v1.tar+gzip";

/** What a client of one protocol has seen; undefined for what it was refused. */
type Seen = readonly (string | undefined)[];

describe("the bridge over storage that fails", function () {
  this.timeout(300_000);
  const analysis = new LayerAnalysis();
  after(async () => {
    await analysis.close();
  });

  const over = (driver: StorageDriver): Registry =>
    createRegistry({ driver, analysis, limits: { maxSize: 0, maxAge: 24 }, events: new Events(() => undefined) });

  async function copyOf(driver: StorageDriver): Promise<StorageDriver> {
    const copy = openMemory();
    for await (const { key } of driver.list("")) await copy.write(key, await driver.read(key));
    return copy;
  }

  /** A store in which V1 has pushed two images and an old registry a third, whose layer is a file that OCI can't name. */
  async function v1Store(): Promise<StorageDriver> {
    const store = openMemory();
    const { push, own } = over(store);
    const chain = [...(await smallChain(2, 300))];
    for (const { id: text, json, layer } of chain) {
      const id = parseImageId(text);
      await push.putDocument(parseImageDocument(id, json), async () => await Promise.resolve(true));
      await push.putLayer(id, layer, false);
      const payload = createHash("sha256")
        .update(json)
        .update("\n")
        .update(await gathered(layer()));
      await push.putChecksum(id, { kind: "payload", value: `sha256:${payload.digest("hex")}` });
    }
    const old = imageOf(Buffer.alloc(0), chain[1]);
    await put(store, `images/${old.id}/json`, old.json.toString());
    await store.write(`images/${old.id}/layer`, chunked(Buffer.alloc(0)));
    await own.tags.put(repository, tag, parseImageId(old.id), "{}");
    // Facts of layers may still be written beside all this.
    const settled = await copyOf(store);
    for (const key of await keysOf(settled, "_registryctl/layers")) await settled.delete(key);
    return settled;
  }

  async function v2Store(): Promise<StorageDriver> {
    const store = openMemory();
    const { blobs, linkedBlobs, manifests } = over(store);
    const keep = async (bytes: Buffer, mediaType: string) => {
      const { digest, size } = await blobs.put(chunked(bytes));
      await linkedBlobs.link(name, digest);
      return { digest, size, mediaType };
    };
    const archives = ["one", "two", "three"].map((file) => tarOf({ name: file, content: Buffer.from(file) }));
    const layers = [];
    for (const archive of archives) layers.push(await keep(gzipSync(archive), ociLayer));
    const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: archives.map(digestOf) } };
    const described = await keep(Buffer.from(JSON.stringify(config)), "application/vnd.oci.image.config.v1+json");
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, config: described, layers }));
    await manifests.put(name, { bytes, contentType: undefined, digest: undefined, tags: [reference.tag] });
    return store;
  }

  /** Pulls through V2. */
  async function pullV2({ manifests, linkedBlobs }: Registry): Promise<Seen> {
    const { digest, bytes } = await manifests.get(name, reference);
    const { config, layers } = JSON.parse(bytes.toString()) as Record<"config", { digest: Digest }> & {
      layers: { digest: Digest }[];
    };
    const seen: string[] = [digest];
    for (const blob of [config, ...layers]) {
      const content = await gathered(await linkedBlobs.open(name, blob.digest));
      expect(digestOf(content)).to.equal(blob.digest);
      seen.push(blob.digest);
    }
    return seen;
  }

  /** Pulls through V1. */
  async function pullV1({ images, tags }: Registry): Promise<Seen> {
    const top = await tags.image(repository, tag);
    await images.requireComplete(top);
    const seen: string[] = [top];
    for (const id of await images.ancestry(top)) seen.push(...(await image(images, id)));
    return seen;
  }

  async function image(images: Registry["images"], id: ImageId): Promise<readonly string[]> {
    await images.requireComplete(id);
    const [json, checksums, layer] = [await images.json(id), await images.checksums(id), await images.layer(id)];
    const content = await gathered(await layer.open());
    const payload = createHash("sha256").update(json).update("\n").update(content).digest("hex");
    expect(checksums, "the checksum is that of what is served").to.deep.equal([`sha256:${payload}`]);
    return [id, json.toString(), digestOf(content), String(layer.size)];
  }

  /** Blobs are what their digests say, and no manifest is linked without what it refers to. */
  async function expectSound(store: StorageDriver): Promise<void> {
    const blobs = new Set<string>();
    for (const key of await keysOf(store, "docker/registry/v2/blobs")) {
      const { hex } = digestParts(digestOf(await bytesOf(store, key)));
      expect(key).to.contain(hex);
      blobs.add(hex);
    }
    for (const key of await keysOf(store, `docker/registry/v2/repositories/${name}`)) {
      const { hex } = digestParts((await bytesOf(store, key)).toString() as Digest);
      expect(blobs.has(hex), key).to.equal(true);
    }
  }

  const pulls = { "V1 → V2": [v1Store, pullV2], "V2 → V1": [v2Store, pullV1] } as const;
  for (const [direction, [prepared, pull]] of Object.entries(pulls)) {
    for (const when of ["before", "after"] as const) {
      it(`${direction}: serves nothing wrong and then everything, whichever call fails ${when} its effect`, async () => {
        const store = await prepared();
        const counting = failing(await copyOf(store), { nth: Infinity, when });
        const expected = await pull(over(counting));
        expect(counting.calls).to.be.greaterThan(40);
        for (let nth = 1; nth <= counting.calls; nth++) {
          const copy = await copyOf(store);
          const faulty: FailingDriver = failing(copy, { nth, when });
          const seen = await pull(over(faulty)).catch(() => undefined);
          if (seen) expect(seen).to.deep.equal(expected);
          await expectSound(copy);
          expect(await pull(over(copy)), `after call ${nth} failed`).to.deep.equal(expected);
          await expectSound(copy);
        }
      });
    }

    it(`${direction}: is done by two processes at the same time`, async () => {
      const store = await prepared();
      const [one, two] = [over(store), over(store)];
      const seen = await Promise.all([pull(one), pull(two), pull(one), pull(two)]);
      for (const each of seen) expect(each).to.deep.equal(seen[0]);
      await expectSound(store);
    });

    it(`${direction}: reads each layer once, however many ask at the same time, and never again`, async () => {
      const store = await prepared();
      const registry = over(store);
      let examined = 0;
      const examine = analysis.examine.bind(analysis);
      analysis.examine = async (...args) => {
        examined++;
        return await examine(...args);
      };
      try {
        await Promise.all(Array.from({ length: 5 }, async () => await pull(registry)));
        expect(examined).to.equal(3);
        await pull(over(store));
        expect(examined).to.equal(3);
      } finally {
        analysis.examine = examine;
      }
    });
  }
});
