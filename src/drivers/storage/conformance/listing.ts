import { expect } from "chai";
import type { Conformance, Subject } from "../conformance.ts";
import { exists, first, keysOf, namesOf, put } from "./probing.ts";

/** Order, prefixes and paging. */
export function describeListing(subject: Subject, { many: count = 1_117 }: Conformance): void {
  /** Relative keys whose order by bytes differs from most other orders. */
  const awkward = [
    "B", "Z/z", "a", "a0", "b-c", "b.d", "b/", "b/c", "b/c-d", "b/c/d", "b0", "bb/a", "c d/e", "c/d", "c!/e",
    "z", "é", "ü/x", "\uffee", "\u{1f600}", "\u{1f600}/below", "\ue000",
  ].filter((key) => !key.endsWith("/") && key !== "b/c" && key !== "\u{1f600}"); // prettier-ignore

  const fill = async (area: string, keys: readonly string[]): Promise<void> => {
    await Promise.all(keys.map(async (key) => { await put(subject.driver, `${area}/${key}`, key); })); // prettier-ignore
  };
  const inByteOrder = (texts: readonly string[]): string[] =>
    [...texts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const many = Array.from({ length: count }, (_, index) => `${(index * 7919) % 10_007}`);

  describe("a listing", () => {
    it("is empty for a prefix that does not exist, and for one that is an object", async () => {
      const area = subject.area();
      await fill(area, ["object"]);
      expect(await keysOf(subject.driver, `${area}/missing`)).to.deep.equal([]);
      expect(await keysOf(subject.driver, `${area}/object`)).to.deep.equal([]);
      expect(await keysOf(subject.driver, `${area}/object/below`)).to.deep.equal([]);
    });

    it("takes its prefix as whole components", async () => {
      const area = subject.area();
      await fill(area, ["a/x", "ab/x", "a-b/x", "aa"]);
      expect(await keysOf(subject.driver, `${area}/a`)).to.deep.equal([`${area}/a/x`]);
    });

    it("is in byte order of whole keys: a folder b stands behind b-c and b.d", async () => {
      const area = subject.area();
      await fill(area, awkward);
      const expected = inByteOrder(awkward.map((key) => `${area}/${key}`));
      expect(expected.indexOf(`${area}/b-c`)).to.be.below(expected.indexOf(`${area}/b/c-d`));
      expect(await keysOf(subject.driver, area)).to.deep.equal(expected);
    });

    it("goes on behind any key, whether it exists, lies within a folder, before or behind the prefix", async () => {
      const area = subject.area();
      await fill(area, awkward);
      const keys = inByteOrder(awkward.map((key) => `${area}/${key}`));
      const others = ["b", "b/", "b/c", "b/c-c", "b/c/", "b/c/zz", "b/zz", "c", "Z", "Z/", "", "zz"].map((key) => `${area}/${key}`); // prettier-ignore
      for (const after of [...keys, ...others, area, `${area}-`, `${area}0`, "", "~"]) {
        const expected = keys.filter((key) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
        expect(await keysOf(subject.driver, area, after), after).to.deep.equal(expected);
      }
    });

    it("goes on within a prefix of several components", async () => {
      const area = subject.area();
      await fill(area, ["x/y/1", "x/y/2/a", "x/y/2/b", "x/y/3", "x/z"]);
      expect(await keysOf(subject.driver, `${area}/x/y`, `${area}/x/y/2/a`)).to.deep.equal([
        `${area}/x/y/2/b`,
        `${area}/x/y/3`,
      ]);
    });

    it("reaches every object of many, at once and in pages", async () => {
      const area = subject.area();
      await fill(area, many);
      const expected = inByteOrder(many.map((key) => `${area}/${key}`));
      expect(await keysOf(subject.driver, area)).to.deep.equal(expected);
      const paged: string[] = [];
      for (let page: string[] = [""]; page.length > 0; paged.push(...page)) {
        const after = paged.at(-1);
        page = [];
        for await (const { key } of subject.driver.list(area, after))
          if (page.push(key) === Math.ceil(count / 12)) break;
      }
      expect(paged).to.deep.equal(expected);
    });

    it("of the empty prefix is the whole store", async () => {
      const areas = [subject.area(), subject.area()];
      for (const area of areas) await fill(area, ["a/b", "c"]);
      const expected = areas.flatMap((area) => [`${area}/a/b`, `${area}/c`]);
      expect(await keysOf(subject.driver, "")).to.include.members(expected);
      const after = (await keysOf(subject.driver, "")).at(-1);
      expect(await keysOf(subject.driver, "", after)).to.deep.equal([]);
    });

    it("yields once what stays, whatever comes and goes meanwhile", async () => {
      const { driver } = subject;
      const area = subject.area();
      const staying = Array.from({ length: Math.min(count, 150) }, (_, index) => `${index % 10}/stays-${index}`);
      await fill(area, [...staying, ...staying.map((key) => `${key}-goes`)]);
      const seen: string[] = [];
      for await (const { key } of driver.list(area)) {
        seen.push(key);
        const other = staying[(seen.length * 37) % staying.length] ?? "";
        await driver.delete(`${area}/${other}-goes`);
        if (seen.length < staying.length / 3) await put(driver, `${area}/${other}-comes`, "new");
      }
      const stayed = seen.filter((key) => /stays-\d+$/.test(key));
      expect(stayed).to.deep.equal(inByteOrder(staying.map((key) => `${area}/${key}`)));
      expect(new Set(seen).size).to.equal(seen.length);
    });

    it("need not be taken to its end", async () => {
      const area = subject.area();
      await fill(area, ["a", "b"]);
      expect((await first(subject.driver.list(area)))?.key).to.equal(`${area}/a`);
      expect(await first(subject.driver.children(area))).to.equal("a");
    });
  });

  describe("the children", () => {
    it("of a prefix that does not exist, or is an object, are none", async () => {
      const area = subject.area();
      await fill(area, ["object"]);
      expect(await namesOf(subject.driver, `${area}/missing`)).to.deep.equal([]);
      expect(await namesOf(subject.driver, `${area}/object`)).to.deep.equal([]);
    });

    it("are objects and folders, each once, in byte order of their names", async () => {
      const area = subject.area();
      await fill(area, awkward);
      const expected = inByteOrder([...new Set(awkward.map((key) => key.split("/")[0] ?? ""))]);
      expect(expected.slice(4, 8)).to.deep.equal(["b", "b-c", "b.d", "b0"]);
      expect(await namesOf(subject.driver, area)).to.deep.equal(expected);
    });

    it("go on behind any name", async () => {
      const area = subject.area();
      await fill(area, awkward);
      const names = inByteOrder([...new Set(awkward.map((key) => key.split("/")[0] ?? ""))]);
      for (const after of [...names, "", "b!", "b-", "bz", "zz", "\u{1f601}"]) {
        const expected = names.filter((name) => Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0);
        expect(await namesOf(subject.driver, area, after), after).to.deep.equal(expected);
      }
    });

    it("are all there when they are many, at once and in pages", async () => {
      const area = subject.area();
      const folders = many.map((name) => `${name}/below`);
      await fill(area, folders);
      const expected = inByteOrder(many);
      expect(await namesOf(subject.driver, area)).to.deep.equal(expected);
      const paged: string[] = [];
      for (let page: string[] = [""]; page.length > 0; paged.push(...page)) {
        const after = paged.at(-1);
        page = [];
        for await (const name of subject.driver.children(area, after))
          if (page.push(name) === Math.ceil(count / 12)) break;
      }
      expect(paged).to.deep.equal(expected);
    });

    it("are no longer there when the last object below them is deleted or moved", async () => {
      const { driver } = subject;
      const area = subject.area();
      await fill(area, ["a/b/c/1", "a/b/c/2", "d/e", "f"]);
      await driver.delete(`${area}/a/b/c/1`);
      expect(await namesOf(driver, area)).to.deep.equal(["a", "d", "f"]);
      await driver.delete(`${area}/a/b/c/2`);
      await driver.move(`${area}/d/e`, `${area}/g`);
      expect(await namesOf(driver, area)).to.deep.equal(["f", "g"]);
      expect(await exists(driver, `${area}/g`)).to.be.true;
    });
  });
}
