import { expect } from "chai";
import type { Subject } from "../conformance.ts";
import { exists, keysOf, outcome, put, source, textOf } from "./probing.ts";

/** Move, copy and delete. */
export function describeChanges(subject: Subject): void {
  for (const operation of ["move", "copy", "link"] as const) {
    describe(`a ${operation}`, () => {
      it(`gives the object another name, ${operation === "move" ? "and takes the first away" : "and keeps the first"}`, async () => {
        const { driver } = subject;
        const area = subject.area();
        await put(driver, `${area}/a/b/from`, "content");
        await driver[operation](`${area}/a/b/from`, `${area}/c/d/e/to`);
        expect(await textOf(driver, `${area}/c/d/e/to`)).to.equal("content");
        expect((await driver.stat(`${area}/c/d/e/to`)).size).to.equal(7);
        expect(await exists(driver, `${area}/a/b/from`)).to.equal(operation !== "move");
      });

      it("replaces what had the name, also when it was longer", async () => {
        const { driver } = subject;
        const area = subject.area();
        await put(driver, `${area}/from`, "new");
        await put(driver, `${area}/to`, "the old content");
        await driver[operation](`${area}/from`, `${area}/to`);
        expect(await textOf(driver, `${area}/to`)).to.equal("new");
        expect((await driver.stat(`${area}/to`)).size).to.equal(3);
      });

      it("onto itself changes nothing", async () => {
        const { driver } = subject;
        const key = `${subject.area()}/object`;
        await put(driver, key, "content");
        await driver[operation](key, key);
        expect(await textOf(driver, key)).to.equal("content");
      });

      it("of what does not exist, or is a folder, is NOT_FOUND and leaves the other name alone", async () => {
        const { driver } = subject;
        const area = subject.area();
        await put(driver, `${area}/to`, "content");
        await put(driver, `${area}/folder/object`, "below");
        for (const from of ["missing", "missing/below", "folder", "to/below"]) {
          expect(await outcome(driver[operation](`${area}/${from}`, `${area}/to`)), from).to.equal("NOT_FOUND");
          expect(await outcome(driver[operation](`${area}/${from}`, `${area}/new/name`)), from).to.equal("NOT_FOUND");
        }
        expect(await outcome(driver[operation](`${area}/missing`, `${area}/missing`))).to.equal("NOT_FOUND");
        expect(await keysOf(driver, area)).to.deep.equal([`${area}/folder/object`, `${area}/to`]);
        expect(await textOf(driver, `${area}/to`)).to.equal("content");
      });

      it("works for an object without bytes and for one of several mebibytes", async () => {
        const { driver } = subject;
        const area = subject.area();
        await put(driver, `${area}/empty`, "");
        await driver.write(`${area}/large`, source(Buffer.alloc(6_000_000, "x"), "end"));
        await driver[operation](`${area}/empty`, `${area}/empty-too`);
        await driver[operation](`${area}/large`, `${area}/large-too`);
        expect(await textOf(driver, `${area}/empty-too`)).to.equal("");
        expect(await textOf(driver, `${area}/large-too`, { start: 5_999_999 })).to.equal("xend");
      });
    });
  }

  for (const operation of ["copy", "link"] as const) {
    describe(`a ${operation}`, () => {
      it("stays as it is when the first is replaced or deleted, and the first when it is", async () => {
        const { driver } = subject;
        const area = subject.area();
        for (const [changed, kept] of [
          ["from", "to"],
          ["to", "from"],
        ] as const) {
          // prettier-ignore
          const fresh = async (): Promise<void> => {
            await put(driver, `${area}/from`, "old");
            await driver[operation](`${area}/from`, `${area}/to`);
          };
          await fresh();
          await put(driver, `${area}/${changed}`, "new");
          expect(await textOf(driver, `${area}/${kept}`)).to.equal("old");
          expect(await textOf(driver, `${area}/${changed}`)).to.equal("new");
          await fresh();
          await put(driver, `${area}/other`, "other");
          await driver.copy(`${area}/other`, `${area}/${changed}`);
          expect(await textOf(driver, `${area}/${kept}`)).to.equal("old");
          await fresh();
          await driver.move(`${area}/other`, `${area}/${changed}`);
          expect(await textOf(driver, `${area}/${kept}`)).to.equal("old");
          await fresh();
          await driver.delete(`${area}/${changed}`);
          expect(await textOf(driver, `${area}/${kept}`)).to.equal("old");
        }
      });

      it("stays as it is when something is added to the first", async () => {
        const { driver } = subject;
        const area = subject.area();
        await put(driver, `${area}/from`, "old");
        await driver[operation](`${area}/from`, `${area}/to`);
        const added = await outcome(driver.append?.(`${area}/from`, 1, source("nly")) ?? Promise.resolve());
        expect(await textOf(driver, `${area}/to`)).to.equal("old");
        expect(added).to.be.oneOf(operation === "link" ? ["done", "INVALID_KEY"] : ["done"]);
      });

      it("may be made twice, of the first or of what was made of it", async () => {
        const { driver } = subject;
        const area = subject.area();
        await put(driver, `${area}/a`, "content");
        for (const [from, to] of [
          ["a", "b"],
          ["a", "b"],
          ["b", "a"],
          ["b", "c/d"],
          ["a", "c/d"],
        ] as const) {
          // prettier-ignore
          await driver[operation](`${area}/${from}`, `${area}/${to}`);
        }
        expect(await keysOf(driver, area)).to.deep.equal([`${area}/a`, `${area}/b`, `${area}/c/d`]);
        await driver.move(`${area}/a`, `${area}/b`);
        expect(await keysOf(driver, area)).to.deep.equal([`${area}/b`, `${area}/c/d`]);
        expect(await textOf(driver, `${area}/b`)).to.equal("content");
      });
    });
  }

  describe("a delete", () => {
    it("takes the object away, and may be said twice or of what was never there", async () => {
      const { driver } = subject;
      const area = subject.area();
      await put(driver, `${area}/a/object`, "x");
      for (const key of ["a/object", "a/object", "a/object/below", "never", "never/there"]) {
        await driver.delete(`${area}/${key}`);
      }
      expect(await outcome(driver.read(`${area}/a/object`))).to.equal("NOT_FOUND");
      expect(await keysOf(driver, area)).to.deep.equal([]);
    });

    it("of a folder takes nothing away", async () => {
      const { driver } = subject;
      const area = subject.area();
      await put(driver, `${area}/a/b/object`, "x");
      for (const key of [area, `${area}/a`, `${area}/a/b`]) await driver.delete(key);
      expect(await keysOf(driver, area)).to.deep.equal([`${area}/a/b/object`]);
    });

    it("does not disturb what is beside, above or below", async () => {
      const { driver } = subject;
      const area = subject.area();
      for (const key of ["a/b/c", "a/b/d", "a/e", "a-b"]) await put(driver, `${area}/${key}`, "x");
      await driver.delete(`${area}/a/b/c`);
      expect(await keysOf(driver, area)).to.deep.equal(["a-b", "a/b/d", "a/e"].map((key) => `${area}/${key}`));
    });

    it("of the last object in a folder and a write of another there do not fail each other", async () => {
      const { driver } = subject;
      const area = subject.area();
      const lane = async (name: string): Promise<void> => {
        for (let round = 0; round < 25; round++) {
          const key = `${area}/deep/folder/${name}`;
          await put(driver, key, `${name} ${round}`);
          expect(await textOf(driver, key)).to.equal(`${name} ${round}`);
          if (round % 3 === 0) await driver.move(key, `${area}/deep/other/${name}`);
          else await driver.delete(key);
        }
        await put(driver, `${area}/deep/folder/${name}`, "stays");
      };
      const lanes = ["1", "2", "3", "4"];
      await Promise.all(lanes.map(lane));
      expect(await keysOf(driver, `${area}/deep/folder`)).to.deep.equal(
        lanes.map((name) => `${area}/deep/folder/${name}`),
      );
    });
  });
}
