import { expect } from "chai";
import { gentlySorted } from "../../../src/drivers/storage/local/gentle-sort.ts";
import { seededRandom } from "../../support/random.ts";

describe("a gentle sort", () => {
  it("sorts however much there is, and lets others have their turn meanwhile", async function () {
    const random = seededRandom(this);
    for (const count of [0, 1, 8_192, 8_193, 50_000]) {
      const items = Array.from({ length: count }, () => random(count));
      const expected = items.toSorted((a, b) => a - b);
      let turns = 0;
      const others = setInterval(() => (turns += 1), 0);
      const sorted = await gentlySorted(items, (a, b) => a - b);
      clearInterval(others);
      expect(sorted).to.deep.equal(expected);
      if (count === 50_000) expect(turns).to.be.greaterThan(0);
    }
  });
});
