import { expect } from "chai";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { RegistryError } from "../../../src/server/errors.ts";
import { digestAs, digestParts, parseDigest, type Digest } from "../../../src/server/registry/digest.ts";
import { parseOciName, parseOciTag, type OciTag } from "../../../src/server/registry/oci-names.ts";
import type { Registry } from "../../../src/server/registry/registry.ts";
import { bodyOf, bytesOf, keysOf } from "../../support/blob-server.ts";
import { failing } from "../../support/failing-driver.ts";
import { digestOf, imageType, indexType } from "../../support/oci-image.ts";
import { registryCores } from "../../support/registry-cores.ts";

const name = parseOciName("a/b");
const [latest, v1, both, doomed] = ["latest", "v1", "both", "doomed"].map(parseOciTag) as [
  OciTag,
  OciTag,
  OciTag,
  OciTag,
];
const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf("{}"), size: 2 };

const manifest = (fields: object): Buffer =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: imageType, ...fields }));
const image = (text: string): Buffer =>
  manifest({ config, layers: [{ mediaType: "text/plain", digest: digestOf(text), size: text.length }] });
const digest = (bytes: Buffer | string): Digest => parseDigest(digestOf(bytes));
const described = (bytes: Buffer): object => ({ mediaType: imageType, digest: digest(bytes), size: bytes.length });

const [first, second] = [image("first"), image("second")];
const index = manifest({ mediaType: indexType, manifests: [described(first), described(second)] });
const artifact = manifest({ config, layers: [], artifactType: "test/thing", subject: described(first) });
const removed = manifest({ config, layers: [], annotations: { of: "removed" }, subject: described(first) });

/** What a client was told: where tags point, which manifests are there, which are gone. */
interface Told {
  /** What each may name: what was acknowledged last, and what was asked for after that; undefined is nothing. */
  readonly tags: Map<OciTag, readonly (Digest | undefined)[]>;
  readonly manifests: Set<Digest>;
  readonly gone: Set<Digest>;
}
const nothing = (): Told => ({ tags: new Map(), manifests: new Set(), gone: new Set() });

/** Pushes and deletes, one after the other, up to the first failure; notes what was acknowledged. */
async function work({ uploads, manifests, ociTags }: Registry, told: Told): Promise<void> {
  for (const text of ["{}", "first", "second"]) {
    const id = await uploads.start(name);
    await uploads.append(name, id, { source: bodyOf(text) });
    await uploads.finish(name, id, digest(text));
  }
  const ask = (wanted: Digest | undefined, ...tags: readonly OciTag[]): void => {
    for (const tag of tags) told.tags.set(tag, [...(told.tags.get(tag) ?? [undefined]), wanted]);
  };
  const put = async (bytes: Buffer, ...tags: readonly OciTag[]): Promise<void> => {
    ask(digest(bytes), ...tags);
    await manifests.put(name, { bytes, contentType: undefined, digest: undefined, tags });
    for (const tag of tags) told.tags.set(tag, [digest(bytes)]);
    told.manifests.add(digest(bytes));
  };
  await put(first, latest);
  await put(second, latest, v1);
  await put(first, v1);
  await put(index, both);
  await put(artifact);
  await put(removed, doomed, both);
  told.manifests.delete(digest(removed));
  ask(undefined, doomed, both);
  await manifests.delete(name, digest(removed)).catch(ifUnknown);
  told.gone.add(digest(removed));
  for (const tag of [doomed, both]) told.tags.set(tag, [undefined]);
  ask(undefined, latest);
  await ociTags.delete(name, latest).catch(ifUnknown);
  told.tags.set(latest, [undefined]);
  await put(index, both);
}

/** A deletion that is asked for again may find its work done. */
function ifUnknown(error: unknown): void {
  if (!(error instanceof RegistryError) || error.code !== "MANIFEST_UNKNOWN") throw error;
}

async function expectSound(store: StorageDriver, over: (driver: StorageDriver) => Registry, told: Told): Promise<void> {
  const { manifests, ociTags, linkedBlobs, referrers } = over(store);
  for (const [tag, expected] of told.tags) expect(expected, tag).to.include(await ociTags.digest(name, tag));
  for (const found of told.manifests) await manifests.get(name, { kind: "digest", digest: found });
  for (const gone of told.gone) expect(await manifests.has(name, gone), "what was deleted is gone").to.equal(false);
  for await (const tag of ociTags.list(name)) {
    const { bytes, digest } = await manifests.get(name, { kind: "tag", tag });
    expect(digestOf(bytes)).to.equal(digest);
  }
  const referring: Digest[] = [];
  for await (const referrer of referrers.list(name, digest(first))) referring.push(referrer.digest);
  if (told.manifests.has(digest(artifact))) expect(referring).to.include(digest(artifact));
  for (const found of referring) await manifests.get(name, { kind: "digest", digest: found });
  for (const bytes of [first, second]) {
    if (!(await manifests.has(name, digest(bytes)))) continue;
    for (const text of ["{}", bytes === first ? "first" : "second"]) {
      expect(await linkedBlobs.has(name, digest(text)), "a manifest has its blobs").to.equal(true);
    }
  }
  for (const key of await keysOf(store, "docker/registry/v2/blobs")) {
    const found = digestAs("sha256", await bytesOf(await store.read(key)));
    expect(key).to.include(`/${digestParts(found).hex}/`);
  }
}

describe("the V2 core over storage that fails", () => {
  const over = registryCores();

  for (const when of ["before", "after"] as const) {
    it(`loses no manifest or tag and serves nothing half, whichever call fails ${when} its effect`, async function () {
      this.timeout(180_000);
      const counting = failing(openMemory(), { nth: Infinity, when });
      await work(over(counting), nothing());
      expect(counting.calls).to.be.greaterThan(80);
      for (let nth = 1; nth <= counting.calls; nth++) {
        const store = openMemory();
        const faulty = failing(store, { nth, when });
        const told = nothing();
        await work(over(faulty), told).catch((error: unknown) => {
          if (!String(error).includes("injected")) throw error;
        });
        await expectSound(store, over, told);
        const again = nothing();
        await work(over(store), again);
        await expectSound(store, over, again);
        expect(again.tags.get(both), `after call ${nth}`).to.deep.equal([digest(index)]);
      }
    });
  }
});
