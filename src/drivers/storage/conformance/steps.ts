import { expect } from "chai";
import type { Subject } from "../conformance.ts";
import type { SmallObject, Stat, StorageDriver } from "../driver.ts";
import { keysOf, outcome, put, source, textOf } from "./probing.ts";

/** Small objects that are written in steps: by the driver where it can, else as the registry does it then. */
export function describeSteps(subject: Subject): void {
  describe("a write in steps", () => {
    const object = (key: string, text: string): SmallObject => ({ key, bytes: Buffer.from(text) });

    it("stores all objects, instead of what had their keys, and tells of each what stat does", async () => {
      const { driver } = subject;
      const area = subject.area();
      await put(driver, `${area}/b`, "what was there before");
      const stats = await inSteps(driver, [
        [object(`${area}/a/1/x`, "first"), object(`${area}/a/2`, "")],
        [object(`${area}/b`, "last")],
      ]);
      const keys = [`${area}/a/1/x`, `${area}/a/2`, `${area}/b`];
      expect(await keysOf(driver, area)).to.deep.equal(keys);
      expect(await Promise.all(keys.map((key) => textOf(driver, key)))).to.deep.equal(["first", "", "last"]);
      const seen = await Promise.all(keys.map((key) => driver.stat(key)));
      expect(stats.map(({ size }) => size)).to.deep.equal([5, 0, 4]);
      for (const [index, { size, modified }] of seen.entries()) {
        expect(stats[index]?.size).to.equal(size);
        expect(Math.abs((stats[index]?.modified.getTime() ?? 0) - modified.getTime())).to.be.at.most(1_000);
      }
    });

    it("of no steps, or one that is empty, does nothing", async () => {
      const { driver } = subject;
      const area = subject.area();
      expect(await inSteps(driver, [])).to.deep.equal([]);
      expect(await inSteps(driver, [[], [object(`${area}/a`, "x")], []])).to.have.length(1);
      expect(await textOf(driver, `${area}/a`)).to.equal("x");
    });

    it("is refused for a key that can't be, with nothing of the steps behind it done", async () => {
      const { driver } = subject;
      const area = subject.area();
      await put(driver, `${area}/last`, "old");
      const long = "x".repeat(300);
      const steps = [[object(`${area}/a`, "a")], [object(`${area}/${long}`, "b")], [object(`${area}/last`, "new")]];
      const found = await outcome(inSteps(driver, steps));
      expect(await textOf(driver, `${area}/last`)).to.equal(found === "done" ? "new" : "old");
      if (found !== "done") expect(found).to.equal("INVALID_KEY");
    });

    it("may be done by many at the same time, on the same keys too", async () => {
      const { driver } = subject;
      const area = subject.area();
      await Promise.all(
        Array.from({ length: 12 }, async (_, index) => {
          await inSteps(driver, [
            [object(`${area}/${index}/own`, String(index))],
            [object(`${area}/shared/${index % 3}`, String(index % 3))],
          ]);
        }),
      );
      expect(await keysOf(driver, area)).to.have.length(15);
      for (const shared of ["0", "1", "2"]) expect(await textOf(driver, `${area}/shared/${shared}`)).to.equal(shared);
      for (let index = 0; index < 12; index++) expect(await textOf(driver, `${area}/${index}/own`)).to.equal(String(index)); // prettier-ignore
    });
  });
}

async function inSteps(driver: StorageDriver, steps: readonly (readonly SmallObject[])[]): Promise<readonly Stat[]> {
  if (driver.writeInSteps) return await driver.writeInSteps(steps);
  const stats: Stat[] = [];
  for (const step of steps) {
    stats.push(...(await Promise.all(step.map(({ key, bytes }) => driver.write(key, source(bytes), bytes.length)))));
  }
  return stats;
}
