import { expect } from "chai";
import { merged, ordered } from "../../../src/server/registry/merged.ts";
import { seededRandom } from "../../support/random.ts";

async function all(items: AsyncIterable<string>): Promise<readonly string[]> {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

async function* listOf(items: readonly string[], taken: string[] = []): AsyncGenerator<string> {
  for (const item of items) {
    await Promise.resolve();
    taken.push(item);
    yield item;
  }
}

describe("lists of two places", () => {
  it("are one list in order, with each item once", async function () {
    const random = seededRandom(this);
    for (let round = 0; round < 200; round++) {
      const draw = () => [...new Set(Array.from({ length: random(8) }, () => `k${random(12)}`))].sort();
      const [one, other] = [draw(), draw()];
      const expected = [...new Set([...one, ...other])].sort();
      expect(await all(merged(listOf(one), other))).to.deep.equal(expected);
      expect(await all(merged(listOf(one), listOf(other)))).to.deep.equal(expected);
    }
  });

  it("are read no further than they are taken", async () => {
    const [one, other]: [string[], string[]] = [[], []];
    for await (const item of merged(listOf(["a", "c", "e"], one), listOf(["b", "d", "f"], other)))
      if (item === "b") break;
    expect([one, other]).to.deep.equal([["a", "c"], ["b"]]);
  });

  it("are put in order a piece at a time", async () => {
    const items = Array.from({ length: 3_500 }, (_, index) => `k${String((index * 7919) % 3_500).padStart(5, "0")}`);
    const sorted = [...items].sort();
    expect(await all(ordered(() => listOf([...items, ...items.slice(0, 50)]), ""))).to.deep.equal(sorted);
    expect(await all(ordered(() => listOf(items), sorted[999] ?? ""))).to.deep.equal(sorted.slice(1000));
    expect(await all(ordered(() => listOf([]), ""))).to.deep.equal([]);
  });
});
