import { createHash } from "node:crypto";
import { mkdir, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { openLocal } from "../../../../src/drivers/storage/local.ts";
import { openMemory } from "../../../../src/drivers/storage/memory.ts";
import { Blobs } from "../../../../src/server/registry/blobs.ts";
import { LayerFacts } from "../../../../src/server/registry/bridge/layer-facts.ts";
import { digestOf, type Digest } from "../../../../src/server/registry/digest.ts";
import { Documents } from "../../../../src/server/registry/documents.ts";
import { Events } from "../../../../src/server/registry/events.ts";
import { parseImageDocument } from "../../../../src/server/registry/image-push.ts";
import { LayerAnalysis } from "../../../../src/server/registry/layers/analysis.ts";
import { parseImageId } from "../../../../src/server/registry/names.ts";
import { adoptedKey, blobKey, layerFactsKey } from "../../../../src/server/registry/paths.ts";
import { createRegistry } from "../../../../src/server/registry/registry.ts";
import { failing } from "../../../support/failing-driver.ts";
import { removeFolder, temporaryFolder, until } from "../../../support/program.ts";
import { bytesOf, keysOf, outcome } from "../../../support/storage-content.ts";
import { chunked, failure, tarEnd, tarOf } from "../../../support/tar-bytes.ts";
import { imageOf } from "../../../support/v1-images.ts";

const archive = tarOf({ name: "./a", content: Buffer.from("content") }, { name: "./b" });
const diffId = digestOf(archive);
const gzip = gzipSync(archive);
const smallArchive = tarOf({ name: "a" });
const oldKey = "images/aa/layer";

describe("the facts of layers", function () {
  this.timeout(180_000);
  let analysis: LayerAnalysis;
  let examinations: number;

  beforeEach(() => {
    analysis = new LayerAnalysis();
    examinations = 0;
    const examine = analysis.examine.bind(analysis);
    analysis.examine = async (...args) => {
      examinations++;
      return await examine(...args);
    };
  });

  afterEach(async () => {
    await analysis.close();
  });

  const factsOver = (driver: StorageDriver): LayerFacts =>
    new LayerFacts({ driver, documents: new Documents(driver), blobs: new Blobs(driver), analysis });

  const putBlob = async (driver: StorageDriver, bytes: Buffer): Promise<Digest> =>
    (await new Blobs(driver).put(chunked(bytes))).digest;

  /** Every blob is what its digest says. */
  async function expectSound(driver: StorageDriver): Promise<void> {
    for (const key of await keysOf(driver, "docker/registry/v2/blobs")) {
      expect(key).to.equal(blobKey(digestOf(await bytesOf(driver, key))));
    }
  }

  it("are found once, also by those who ask at the same time, and stay in the store", async () => {
    const driver = openMemory();
    const facts = factsOver(driver);
    const digest = await putBlob(driver, gzip);
    const expected = { digest, size: gzip.length, compression: "gzip", diffId, unpackedSize: archive.length };
    const answers = await Promise.all([1, 2, 3].map(async () => facts.of(digest)));
    for (const answer of answers) expect(answer).to.deep.equal(expected);
    expect(examinations).to.equal(1);
    await driver.delete(blobKey(digest));
    expect(await factsOver(driver).of(digest)).to.deep.equal(expected);
    expect(examinations).to.equal(1);
  });

  it("of blobs with another kind of digest have that digest", async () => {
    const driver = openMemory();
    const digest = `sha512:${createHash("sha512").update(gzip).digest("hex")}` as Digest;
    await new Blobs(driver).putAs(digest, chunked(gzip));
    expect(await factsOver(driver).of(digest)).to.include({ digest, diffId });
  });

  it("that a caller knows are believed, and do not replace what was found", async () => {
    const driver = openMemory();
    const digest = await putBlob(driver, gzip);
    const known = { digest, size: 1, compression: "gzip", diffId: digest, unpackedSize: 2 } as const;
    await factsOver(driver).record(digest, known);
    await factsOver(driver).record(digest, { ...known, size: 3 });
    expect(await factsOver(driver).of(digest)).to.deep.equal(known);
    expect(examinations).to.equal(0);
  });

  it("of what is no layer are that it is none, which is found once", async () => {
    const driver = openMemory();
    for (const [bytes, detail] of [
      [gzip.subarray(0, 60), "the gzip data is damaged or uses a feature that is not supported"],
      [Buffer.alloc(600, 1), "a tar header has a number that is none"],
    ] as const) {
      const digest = await putBlob(driver, Buffer.from(bytes));
      for (let i = 0; i < 3; i++) {
        const error = await failure(factsOver(driver).of(digest));
        expect(error).to.include({ code: "LAYER_UNSUPPORTED", detail });
      }
    }
    expect(examinations).to.equal(2);
  });

  it("that an older version could not find are looked for again", async () => {
    const driver = openMemory();
    const digest = await putBlob(driver, gzip);
    const layer = { digest, size: gzip.length, compression: "gzip", problem: "not yet" };
    await new Documents(driver).write(layerFactsKey(digest), JSON.stringify({ reader: 0, layer }));
    expect(await factsOver(driver).of(digest)).to.include({ diffId });
  });

  it("of a blob that is not there are BLOB_UNKNOWN", async () => {
    expect(await failure(factsOver(openMemory()).of(diffId))).to.have.property("code", "BLOB_UNKNOWN");
    expect(examinations).to.equal(0);
  });

  it("of a blob that is not what its digest says are a fault, found once, until the blob is another", async () => {
    const driver = openMemory();
    const digest = await putBlob(driver, gzip);
    for (const wrong of [archive, gzip.subarray(0, 50)]) {
      await driver.write(blobKey(digest), chunked(wrong));
      for (let i = 0; i < 2; i++) {
        const error = await failure(factsOver(driver).of(digest));
        expect(error).to.have.property("message", `The blob ${digest} is damaged: its content has another digest`);
      }
    }
    expect(examinations).to.equal(2);
    await driver.write(blobKey(digest), chunked(gzip));
    expect(await factsOver(driver).of(digest)).to.include({ diffId });
  });

  it("are found beside other work, and what fails there is told to who asks", async () => {
    const driver = openMemory();
    const facts = factsOver(driver);
    const digest = await putBlob(driver, gzip);
    const broken = await putBlob(driver, Buffer.from("no layer"));
    for (const any of [digest, broken, diffId]) facts.prepare(any);
    await until("the facts to be kept", async () => (await keysOf(driver, "_registryctl/layers")).length === 2);
    expect(await facts.of(digest)).to.include({ diffId });
    expect(await failure(facts.of(broken))).to.have.property("code", "LAYER_UNSUPPORTED");
    expect(await failure(facts.of(diffId))).to.have.property("code", "BLOB_UNKNOWN");
    expect(examinations).to.equal(2);
  });

  it("are found after a push through V1, without being asked for", async () => {
    const driver = openMemory();
    const registry = createRegistry({
      driver,
      analysis,
      limits: { maxSize: 0, maxAge: 24 },
      events: new Events(() => undefined),
    });
    const image = imageOf(gzip);
    const id = parseImageId(image.id);
    await registry.push.putDocument(parseImageDocument(id, image.json), async () => await Promise.resolve(true));
    await registry.push.putLayer(id, image.layer, false);
    const key = layerFactsKey(digestOf(gzip));
    await until("the facts to be kept", async () => (await keysOf(driver, "_registryctl/layers")).includes(key));
    expect(await registry.layerFacts.of(digestOf(gzip))).to.include({ diffId });
    expect(examinations).to.equal(1);
  });

  it("are not remembered when the storage failed, whichever call it was, and nothing is left wrong", async () => {
    const run = async (driver: StorageDriver, digest: Digest): Promise<void> => {
      await factsOver(driver).of(digest);
      await factsOver(driver).gzipOf(digest);
      await factsOver(driver).adoptFile(oldKey);
    };
    const prepared = async (): Promise<readonly [StorageDriver, Digest]> => {
      const store = openMemory();
      await store.write(oldKey, chunked(gzip));
      return [store, await putBlob(store, archive)];
    };
    for (const when of ["before", "after"] as const) {
      const [counted, any] = await prepared();
      const counting = failing(counted, { nth: Infinity, when });
      await run(counting, any);
      for (let nth = 1; nth <= counting.calls; nth++) {
        const [store, digest] = await prepared();
        const faulty = failing(store, { nth, when });
        // A call that finds nothing fails by itself, and has no answer that could be lost.
        expect(await outcome(run(faulty, digest)), `call ${nth}`).to.equal(faulty.fired ? "UNAVAILABLE" : "done");
        await expectSound(store);
        await run(store, digest);
        await expectSound(store);
        expect(await factsOver(store).of(digest)).to.include({ diffId });
        expect(await keysOf(store, "docker")).to.deep.equal(await keysOf(counted, "docker"));
      }
    }
  });

  describe("for OCI", () => {
    /** `smallArchive`, packed by the programs. */
    const xz = Buffer.from(
      "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AX/AD9dADCAM1AYaImDAdzibjonJY4UVgcG8SvoOCGP2qqCxlMxdC8HxYkBKfe76ZIsCuwLzr2vXtp3OOI0XrTXKWXgAAAAzF6/W64k0i0AAVuADAAAAMMjLF6xxGf7AgAAAAAEWVo=",
      "base64",
    );
    const zstd = Buffer.from(
      "KLUv/QRYLQIAdAJhADAwMDA2NDQwMDAAMTIyNjI0NzI1NzM3NQAgMAAAAHVzdGFyADAKAJDg/AE+wFoH/IaEvGPGDNUIVgBwrFzmJ4AFvxZbUQ==",
      "base64",
    );
    const bzip2 = Buffer.from(
      "QlpoOTFBWSZTWapLSg0AADDbkMiAQAB/hAAA4AAeAABAAAggAFRBNAAaD1BKamU0YRkNEYXwRABbt7onwpgJhKiZpbyBsvlA6vhtJdVVCg+LKY9wARMvi7kinChIVSWlBoA=",
      "base64",
    );

    it("name layers with gzip and plain ones themselves", async () => {
      const driver = openMemory();
      for (const [bytes, mediaType] of [
        [gzip, "application/vnd.oci.image.layer.v1.tar+gzip"],
        [archive, "application/vnd.oci.image.layer.v1.tar"],
        [Buffer.from(tarEnd), "application/vnd.oci.image.layer.v1.tar"],
      ] as const) {
        const digest = await putBlob(driver, bytes);
        const { unpackedSize, ...facts } = await factsOver(driver).of(digest);
        expect(unpackedSize).to.be.above(0);
        expect(await factsOver(driver).ociLayer(digest)).to.deep.equal({ digest, size: bytes.length, mediaType, diffId: facts.diffId }); // prettier-ignore
      }
    });

    it("name one blob with gzip in the place of xz, bzip2 and zstd, made once, and again when it is lost", async () => {
      const expected = { digest: "sha256:02e173ef3d24bc90f6eff781e50d5a0c135c808ec6413f3b4df4629de57be937", mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", diffId: digestOf(smallArchive) }; // prettier-ignore
      for (const packed of [xz, bzip2, zstd]) {
        const driver = openMemory();
        const digest = await putBlob(driver, packed);
        const [first, second] = await Promise.all([1, 2].map(async () => factsOver(driver).ociLayer(digest)));
        expect(first).to.include(expected);
        expect(second).to.deep.equal(first);
        const bytes = await bytesOf(driver, blobKey(first!.digest));
        expect(bytes).to.have.lengthOf(first!.size);
        expect(gunzipSync(bytes).equals(smallArchive)).to.equal(true);
        expect(await factsOver(driver).of(first!.digest)).to.include({ compression: "gzip", size: bytes.length });
        const { modified } = await driver.stat(blobKey(first!.digest));
        expect(await factsOver(driver).ociLayer(digest)).to.deep.equal(first);
        expect((await driver.stat(blobKey(first!.digest))).modified).to.equal(modified);
        await driver.delete(blobKey(first!.digest));
        expect(await factsOver(driver).gzipOf(digest)).to.deep.equal(first);
        expect((await bytesOf(driver, blobKey(first!.digest))).equals(bytes)).to.equal(true);
        await expectSound(driver);
      }
    });

    it("name Docker's empty archive in the place of no byte", async () => {
      const driver = openMemory();
      const layer = await factsOver(driver).ociLayer(await putBlob(driver, Buffer.alloc(0)));
      expect(layer).to.include({ diffId: digestOf(tarEnd) });
      expect(gunzipSync(await bytesOf(driver, blobKey(layer.digest))).equals(tarEnd)).to.equal(true);
    });
  });

  describe("of files of an old store", () => {
    let folder: string;
    let store: StorageDriver;

    const layerFile = async (content: Buffer): Promise<string> => {
      const path = join(folder, oldKey);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
      return path;
    };

    beforeEach(async () => {
      folder = await temporaryFolder("layer-facts");
      store = await openLocal(folder);
    });

    afterEach(async () => {
      await store.close();
      await removeFolder(folder);
    });

    it("are found once, and make the file a blob without a second copy", async () => {
      const path = await layerFile(gzip);
      const answers = await Promise.all([1, 2].map(async () => factsOver(store).adoptFile(oldKey)));
      const digest = digestOf(gzip);
      for (const answer of answers) expect(answer).to.include({ digest, diffId, size: gzip.length });
      const [file, blob] = await Promise.all([stat(path), stat(join(folder, blobKey(digest)))]);
      expect(blob).to.include({ ino: file.ino, nlink: 2 });
      const before = examinations;
      expect(await factsOver(store).adoptFile(oldKey)).to.deep.equal(answers[0]);
      expect(await factsOver(store).of(digest)).to.deep.equal(answers[0]);
      expect(examinations).to.equal(before);
      await store.delete(blobKey(digest));
      await factsOver(store).adoptFile(oldKey);
      expect(examinations).to.equal(before);
      expect((await bytesOf(store, blobKey(digest))).equals(gzip)).to.equal(true);
      expect((await bytesOf(store, oldKey)).equals(gzip)).to.equal(true);
    });

    it("leave a blob alone that is there already", async () => {
      await layerFile(gzip);
      const digest = await putBlob(store, gzip);
      const { ino } = await stat(join(folder, blobKey(digest)));
      await factsOver(store).adoptFile(oldKey);
      expect(await stat(join(folder, blobKey(digest)))).to.include({ ino, nlink: 1 });
    });

    it("are found again when the file is another", async () => {
      const path = await layerFile(gzip);
      await factsOver(store).adoptFile(oldKey);
      await store.write(oldKey, chunked(archive));
      expect(await factsOver(store).adoptFile(oldKey)).to.include({ digest: diffId });
      await utimes(path, 1, 1);
      expect(await factsOver(store).adoptFile(oldKey)).to.include({ digest: diffId });
      expect(examinations).to.equal(3);
      await expectSound(store);
    });

    it("that are broken are told of once read, and are no blobs", async () => {
      const path = await layerFile(gzip);
      await truncate(path, gzip.length - 3);
      for (let i = 0; i < 2; i++) {
        expect(await failure(factsOver(store).adoptFile(oldKey))).to.have.property("code", "LAYER_UNSUPPORTED");
      }
      expect(examinations).to.equal(1);
      expect(await keysOf(store, "docker")).to.deep.equal([]);
      expect(await outcome(factsOver(store).adoptFile("images/bb/layer"))).to.equal("NOT_FOUND");
    });

    it("are not believed when the file changes while it is read", async () => {
      await layerFile(gzip);
      const examine = analysis.examine.bind(analysis);
      analysis.examine = async (...args) => {
        const found = await examine(...args);
        await store.write(oldKey, chunked(archive));
        return found;
      };
      const error = await failure(factsOver(store).adoptFile(oldKey));
      expect(error).to.have.property("message", "images/aa/layer changed while it was read");
      expect(await keysOf(store, "docker")).to.deep.equal([]);
      expect(await outcome(store.stat(adoptedKey(oldKey)))).to.equal("NOT_FOUND");
    });
  });
});
