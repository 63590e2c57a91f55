import { setImmediate } from "node:timers/promises";
import { expect } from "chai";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { RegistryError } from "../../../src/server/errors.ts";
import { parseDigest } from "../../../src/server/registry/digest.ts";
import { parseOciName, parseOciTag } from "../../../src/server/registry/oci-names.ts";
import { digestOf, indexType } from "../../support/oci-image.ts";
import { registryCores } from "../../support/registry-cores.ts";

const name = parseOciName("a/b");

/** A store in memory that tells how many calls of an operation were under way at once at most. */
function counted(operation: "stat" | "read"): { readonly driver: StorageDriver; most: number } {
  const driver = openMemory();
  const counter = { driver, most: 0 };
  let underWay = 0;
  const count = async <T>(work: () => Promise<T>): Promise<T> => {
    counter.most = Math.max(counter.most, ++underWay);
    await setImmediate();
    return await work().finally(() => underWay--);
  };
  const [stat, read] = [driver.stat.bind(driver), driver.read.bind(driver)];
  if (operation === "stat") driver.stat = async (key) => await count(async () => await stat(key));
  else driver.read = async (key, range) => await count(async () => await read(key, range));
  return counter;
}

describe("Operations over much content", () => {
  const core = registryCores();

  it("look at the references of a manifest side by side, but not at all of them at once", async () => {
    const counter = counted("stat");
    const { manifests } = core(counter.driver);
    const layers = Array.from({ length: 3_000 }, (_, index) => ({ digest: digestOf(String(index)), size: 1 }));
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, layers }));
    const refused = await manifests
      .put(name, { bytes, contentType: undefined, digest: undefined, tags: [] })
      .catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(RegistryError);
    expect((refused as RegistryError).detail).to.include("and 2990 more");
    // Of each there are a link and content.
    expect(counter.most).to.be.within(32, 512);
  });

  it("find the tags of a manifest that is deleted side by side", async () => {
    const counter = counted("read");
    const { manifests, ociTags } = core(counter.driver);
    const push = async (manifest: object, tag: string) =>
      await manifests.put(name, {
        bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [], ...manifest })),
        contentType: undefined,
        digest: undefined,
        tags: [parseOciTag(tag)],
      });
    for (let index = 0; index < 100; index++) await push({ annotations: { index: String(index % 2) } }, `t${index}`);
    counter.most = 0;
    const { digest } = await push({ annotations: { index: "0" } }, "t0");
    await manifests.delete(name, parseDigest(digest));
    expect(counter.most).to.be.within(8, 64);
    const left: string[] = [];
    for await (const tag of ociTags.list(name)) left.push(tag);
    expect(left.sort()).to.deep.equal(Array.from({ length: 50 }, (_, index) => `t${index * 2 + 1}`).sort());
  });
});
