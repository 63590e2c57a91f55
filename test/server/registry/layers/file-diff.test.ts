import { readdir, stat, utimes } from "node:fs/promises";
import { expect } from "chai";
import { fileDiff } from "../../../../src/server/registry/layers/file-diff.ts";
import { removeFolder, temporaryFolder } from "../../../support/program.ts";
import { seededRandom } from "../../../support/random.ts";
import { chunked, failure, gathered } from "../../../support/tar-bytes.ts";

type Row = readonly [name: string, type: string, isDeleted: boolean, ...numbers: readonly number[]];
type Verdict = "deleted" | "changed" | "created";

function row(name: string, isDeleted = false, size = 1): Row {
  return [name, "f", isDeleted, size, 1_389_000_000, 420, 0, 0];
}

/** JSON texts as `fileDiff` reads them. */
function lists(...texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `\x1e${text}`).join(""));
}

async function diffOf(
  own: readonly Row[],
  ...ancestors: readonly (readonly Row[])[]
): Promise<Record<Verdict, unknown>> {
  const bytes = lists(...[own, ...ancestors].map((rows) => JSON.stringify(rows)));
  return JSON.parse((await gathered(fileDiff(chunked(bytes, 50)))).toString()) as Record<Verdict, unknown>;
}

describe("the diff of a layer", () => {
  const deleted = row("/a", true);
  const cases: readonly (readonly [
    what: string,
    ancestors: readonly (readonly Row[])[],
    verdict: Verdict,
    own?: Row,
  ])[] = [
    ["nobody had is created", [], "created"],
    ["no ancestor had is created", [[row("/b")], [row("/c")]], "created"],
    ["the parent had is changed", [[row("/a")]], "changed"],
    ["a distant ancestor had is changed", [[row("/b")], [], [row("/a")]], "changed"],
    ["the parent had deleted is created again", [[deleted], [row("/a")]], "created"],
    ["an ancestor had deleted and the parent made again is changed", [[row("/a")], [deleted]], "changed"],
    ["the parent names twice is what the later row says", [[deleted, row("/b"), row("/a")]], "changed"],
    ["is deleted is deleted", [[row("/a")]], "deleted", deleted],
    ["is deleted is deleted even if nobody had it", [[row("/b")]], "deleted", deleted],
    ["is deleted is deleted without ancestors", [], "deleted", deleted],
  ];

  for (const [what, ancestors, verdict, own = row("/a")] of cases) {
    it(`says that a file which ${what}`, async () => {
      const [name, ...info] = own;
      const none = { deleted: {}, changed: {}, created: {} };
      expect(await diffOf([own], ...ancestors)).to.deep.equal({ ...none, [verdict]: { [name]: info } });
    });
  }

  it("is written as Python writes it, what a row says kept as it is", async () => {
    const own = '[["/\\u00e9", "f", false, 1, 1389000000.0, 420, 0, 0], ["/b\\"]", "d", false, 0, 1, 493, 0, 0]]';
    const text = (await gathered(fileDiff(chunked(lists(own, '[["/é","f",false]]'))))).toString();
    expect(text).to.equal(
      '{"deleted": {}, "changed": {"/\\u00e9": ["f", false, 1, 1389000000.0, 420, 0, 0]}, ' +
        '"created": {"/b\\"]": ["d", false, 0, 1, 493, 0, 0]}}',
    );
  });

  it("takes the later of two rows with one name, in the place of the first", async () => {
    const diff = await diffOf([row("/a"), row("/b"), row("/a", false, 9)]);
    expect(JSON.stringify(diff["created"])).to.match(/^\{"\/a":\["f",false,9,.*"\/b"/);
  });

  it("reads no further than it needs", async () => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield lists(JSON.stringify([row("/a"), row("/gone", true)]));
      yield lists(JSON.stringify([row("/a")]));
      yield await Promise.resolve(lists(""));
      throw new Error("read too far");
    }
    const diff = JSON.parse((await gathered(fileDiff(source()))).toString()) as Record<Verdict, object>;
    expect(Object.keys(diff.changed)).to.deep.equal(["/a"]);
  });

  it("is what a simple computation finds", async function () {
    this.timeout(180_000);
    const random = seededRandom(this);
    const layer = (size: number): Row[] =>
      Array.from({ length: size }, (_, i) => row(`/f${random(1500)}`, random(5) === 0, i));
    const own = layer(2000);
    const ancestors = [layer(500), layer(1000), [], layer(2000)];
    const simple: Record<Verdict, Record<string, unknown>> = { deleted: {}, changed: {}, created: {} };
    const maps = ancestors.map((rows) => new Map(rows.map(([name, , isDeleted]) => [name, isDeleted])));
    for (const [name, [, ...info]] of new Map(own.map((file) => [file[0], file]))) {
      const before = maps.find((names) => names.has(name))?.get(name);
      simple[info[1] ? "deleted" : before === false ? "changed" : "created"][name] = info;
    }
    expect(await diffOf(own, ...ancestors)).to.deep.equal(simple);
    expect(Object.keys(simple.changed)).to.have.length.above(100);
  });

  const damaged: readonly (readonly [what: string, text: Buffer])[] = [
    ["no list", Buffer.from("[]")],
    ["an object", lists("{}")],
    ["a list that is cut short", lists('[["/a", "f", false')],
    ["a list that is cut short before another one", lists('[["/a", "f", false, 1', "[]")],
    ["a list that is not closed", lists('[["/a", "f", false]')],
    ["a row that is no row", lists('[["/a", 5]]')],
    ["a row without commas", lists('[["/a" "f"]]')],
    ["text between rows", lists('[["/a", "f", false] x]')],
    ["more brackets than were opened", lists("[]]")],
    ["a row without an end", lists(`[["${"x".repeat(9_000_000)}`)],
  ];

  for (const [what, text] of damaged) {
    it(`fails for ${what}`, async () => {
      expect(await failure(fileDiff(chunked(text)))).to.have.property("message", "A layer's file list is damaged");
    });
  }

  it("leaves no file behind, failed or not", async () => {
    const { TMPDIR } = process.env;
    const folder = await temporaryFolder();
    process.env["TMPDIR"] = folder;
    try {
      await utimes(folder, 1, 1);
      await diffOf([row("/a")]);
      await failure(fileDiff(chunked(lists("{}"))));
      expect((await stat(folder)).mtimeMs, "files were made there").to.be.above(1000);
      expect(await readdir(folder)).to.deep.equal([]);
    } finally {
      if (TMPDIR === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = TMPDIR;
      await removeFolder(folder);
    }
  });
});
