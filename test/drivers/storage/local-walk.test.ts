import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { walkNames, walkObjects, type Tree } from "../../../src/drivers/storage/local/walk.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

describe("a folder with more names than may be held", () => {
  let root = "";
  const names = Array.from({ length: 101 }, (_, index) => String((index * 37) % 101).padStart(3, "0"));

  before(async () => {
    root = await temporaryFolder("local-walk");
    for (const [index, name] of names.entries()) {
      if (index % 3 === 0) await mkdir(join(root, name));
      await writeFile(join(root, index % 3 === 0 ? `${name}/below` : name), "x");
    }
  });

  after(async () => {
    await removeFolder(root);
  });

  for (const namesHeld of [1, 2, 7, 50, 51, 100, 101, 1000]) {
    it(`is listed whole and in order, when ${namesHeld} may be held`, async () => {
      const tree: Tree = { root, namesHeld, hides: (_, name) => name === "050" };
      const sorted = names.filter((name) => name !== "050").sort();
      const found: string[] = [];
      for await (const name of walkNames(root, "019", tree)) found.push(name);
      expect(found).to.deep.equal(sorted.slice(20));
      const keys: string[] = [];
      for await (const { key } of walkObjects(root, "", "", tree)) keys.push(key);
      expect(keys.map((key) => key.split("/")[0])).to.deep.equal(sorted);
    });
  }
});
