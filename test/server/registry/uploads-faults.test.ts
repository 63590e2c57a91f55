import { createHash } from "node:crypto";
import { expect } from "chai";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { isDigest, parseDigest, type Digest } from "../../../src/server/registry/digest.ts";
import { parseOciName } from "../../../src/server/registry/oci-names.ts";
import { blobCore, bodyOf, bytesOf, keysOf, type BlobCore } from "../../support/blob-server.ts";
import { failing } from "../../support/failing-driver.ts";
import { digestOf } from "../../support/oci-image.ts";

const name = parseOciName("a/b");
const other = parseOciName("c");
const digest = (text: string, algorithm?: string): Digest => parseDigest(digestOf(text, algorithm));
const hour = 3_600_000;

/** What a client was told is there, or gone. */
interface Acknowledged {
  readonly blobs: { readonly name: typeof name; readonly digest: Digest }[];
  readonly deleted: Digest[];
}

/** One of each thing that a client can do with blobs; what is done is noted as it is acknowledged. */
async function pushAll({ uploads, linkedBlobs }: BlobCore, done: Acknowledged): Promise<void> {
  const note = (digest: Digest, to = name): void => void done.blobs.push({ name: to, digest });

  const streamed = await uploads.start(name);
  await uploads.append(name, streamed, { source: bodyOf("str", "eamed") });
  await uploads.finish(name, streamed, digest("streamed"));
  note(digest("streamed"));

  const chunked = await uploads.start(name, "sha512");
  await uploads.append(name, chunked, { source: bodyOf("chu") });
  await uploads.append(name, chunked, { source: bodyOf("nk"), range: { start: 3, end: 5 } });
  expect(await uploads.size(name, chunked)).to.equal(5);
  await uploads.finish(name, chunked, digest("chunked", "sha512"), { source: bodyOf("ed") });
  note(digest("chunked", "sha512"));

  const whole = await uploads.start(name);
  await uploads.finish(name, whole, digest("whole"), { source: bodyOf("whole"), length: 5 });
  note(digest("whole"));

  await uploads.put(name, digest("posted"), { source: bodyOf("posted") });
  note(digest("posted"));

  if (await linkedBlobs.mount(other, digest("posted"), name)) note(digest("posted"), other);

  const cancelled = await uploads.start(name);
  await uploads.append(name, cancelled, { source: bodyOf("cancelled") });
  await uploads.cancel(name, cancelled);

  await uploads.put(name, digest("deleted"), { source: bodyOf("deleted") });
  await linkedBlobs.unlink(name, digest("deleted"));
  done.deleted.push(digest("deleted"));
}

async function expectSound(store: StorageDriver, done: Acknowledged): Promise<void> {
  const { linkedBlobs, uploads } = blobCore(store);
  for (const { name, digest } of done.blobs) expect(await linkedBlobs.has(name, digest), digest).to.equal(true);
  for (const digest of done.deleted) expect(await linkedBlobs.has(name, digest), digest).to.equal(false);
  for (const key of await keysOf(store, "docker/registry/v2/blobs")) {
    const [algorithm = "", , hex = ""] = key.split("/").slice(4);
    const found = createHash(algorithm)
      .update(await bytesOf(await store.read(key)))
      .digest("hex");
    expect(found, key).to.equal(hex);
  }
  for (const key of await keysOf(store, "docker/registry/v2/repositories")) {
    const text = (await bytesOf(await store.read(key))).toString();
    expect(isDigest(text), key).to.equal(true);
    const [algorithm = "", hex = ""] = text.split(":");
    expect(await keysOf(store, `docker/registry/v2/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}`), text).to.have.length(
      1,
    );
  }
  await uploads.reap(Date.now() + 25 * hour);
  expect(await keysOf(store, "_registryctl/uploads"), "nothing is left for ever").to.deep.equal([]);
}

const nothing = (): Acknowledged => ({ blobs: [], deleted: [] });

describe("uploads over storage that fails", () => {
  for (const when of ["before", "after"] as const) {
    it(`lose nothing acknowledged and keep nothing half, whichever call fails ${when} its effect`, async function () {
      this.timeout(180_000);
      const counting = failing(openMemory(), { nth: Infinity, when });
      await pushAll(blobCore(counting), nothing());
      expect(counting.calls).to.be.greaterThan(50);
      let failures = 0;
      for (let nth = 1; nth <= counting.calls; nth++) {
        const store = openMemory();
        const faulty = failing(store, { nth, when });
        const done = nothing();
        const failed = await pushAll(blobCore(faulty), done).then(
          () => false,
          () => true,
        );
        failures += Number(failed);
        expect(faulty.calls, `call ${nth} is reached`).to.be.at.least(nth);
        await expectSound(store, done);
        const again = nothing();
        await pushAll(blobCore(store), again);
        expect(again.blobs).to.have.length(5);
        await expectSound(store, again);
      }
      // Only what cleans up after an acknowledged effect may fail in silence.
      expect(failures).to.be.greaterThan(counting.calls / 2);
    });

    it(`can be finished again after any call of their end has failed ${when} its effect`, async () => {
      for (const bodies of [["hello"], ["hel", "lo"], []]) {
        for (let nth = 1, reached = true; reached; nth++) {
          const store = openMemory();
          const healthy = blobCore(store);
          const id = await healthy.uploads.start(name);
          for (const text of bodies) await healthy.uploads.append(name, id, { source: bodyOf(text) });
          const faulty = failing(store, { nth, when });
          const rest = (): { source: AsyncIterable<Uint8Array> } | undefined =>
            bodies.length === 0 ? { source: bodyOf("hello") } : undefined;
          const finish = async (driver: StorageDriver): Promise<boolean> =>
            await blobCore(driver)
              .uploads.finish(name, id, digest("hello"), rest())
              .then(
                () => true,
                () => false,
              );
          if (!(await finish(faulty))) expect(await finish(store), `after call ${nth}`).to.equal(true);
          await expectSound(store, { blobs: [{ name, digest: digest("hello") }], deleted: [] });
          reached = faulty.calls >= nth;
        }
      }
    });
  }
});
