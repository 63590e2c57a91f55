import { expect } from "chai";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { Catalog } from "../../../src/server/registry/catalog.ts";
import { isOciName } from "../../../src/server/registry/oci-names.ts";
import { seededRandom } from "../../support/random.ts";

async function storeWith(names: readonly string[]) {
  const driver = openMemory();
  for (const name of names) {
    await driver.write(
      `docker/registry/v2/repositories/${name}/_layers/sha256/00/link`,
      (async function* () {
        await Promise.resolve();
        yield Buffer.from("x");
      })(),
    );
  }
  return new Catalog(driver);
}

async function collected(items: AsyncIterable<string>): Promise<readonly string[]> {
  const all: string[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("the catalog", () => {
  it("lists names in byte order, folders and all", async () => {
    const names = ["a", "a-b", "a-b/c", "a.b", "a/b", "a/b-c", "a/b/c", "a0", "b/c", "b_c", "z"];
    const catalog = await storeWith([...names].reverse());
    expect(await collected(catalog.list())).to.deep.equal([...names].sort());
  });

  it("lists no folder that only holds repositories", async () => {
    expect(await collected((await storeWith(["a/b/c"])).list())).to.deep.equal(["a/b/c"]);
  });

  it("goes on from any name, whether it is there or not", async function () {
    const random = seededRandom(this);
    const pieces = ["a", "b", "ab", "a-b", "a.b", "a_b", "a--b", "a__b", "0", "z9"];
    const word = () => Array.from({ length: 1 + random(3) }, () => pieces[random(pieces.length)]).join("/");
    const names = [...new Set(Array.from({ length: 120 }, word))].filter(isOciName).sort();
    const catalog = await storeWith(names);
    expect(await collected(catalog.list())).to.deep.equal(names);
    for (const after of [...names, ...Array.from({ length: 100 }, word), "", "~"]) {
      expect(await collected(catalog.list(after)), after).to.deep.equal(names.filter((name) => name > after));
    }
  });
});
