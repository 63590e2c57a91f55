import { expect } from "chai";
import { openElliptics } from "../../../../src/drivers/storage/elliptics.ts";
import { RawElliptics } from "../../../support/elliptics/raw-client.ts";
import { ellipticsSettings } from "../../../support/elliptics/settings.ts";
import { ellipticsStage } from "../../../support/elliptics/stage.ts";
import { keysOf, namesOf, outcome, put, repeated, source, textOf } from "../../../support/storage-content.ts";

const mebibyte = 1_048_576;
const block = Buffer.alloc(65_536, "original ");
const large = 3 * mebibyte + 7;

describe("elliptics and the original driver on the same cluster", () => {
  const stage = ellipticsStage({ layout: "ring", shards: 4 });
  let original: RawElliptics;

  before(async () => {
    original = await RawElliptics.connect(stage.cluster.nodes[0]!.port);
  });

  const objects = (): number => stage.cluster.backends.reduce((sum, backend) => sum + backend.objects, 0);

  it("has what the other has written: contents, parts of them, listings", async () => {
    const { driver } = stage;
    await original.putContent("theirs/images/a/json", "{}");
    await original.putContent("theirs/images/a/_empty", "");
    await original.putContent("theirs/images/b-c", "x");
    await original.putContent("theirs/images/b/json", "y");
    await original.putContent("at-the-top", "top");
    await original.streamWrite("theirs/images/a/layer", Buffer.alloc(300_000, "0123456789"));
    expect(await textOf(driver, "theirs/images/a/json")).to.equal("{}");
    expect(await textOf(driver, "theirs/images/a/_empty")).to.equal("");
    expect(await textOf(driver, "theirs/images/a/layer", { start: 131_070, end: 131_075 })).to.equal("01234");
    expect((await driver.stat("theirs/images/a/layer")).size).to.equal(300_000);
    expect((await driver.stat("theirs/images/a/_empty")).size).to.equal(0);
    expect(await outcome(driver.stat("theirs/images"))).to.equal("NOT_FOUND");
    expect(await namesOf(driver, "theirs/images")).to.deep.equal(["a", "b", "b-c"]);
    expect(await keysOf(driver, "theirs")).to.deep.equal([
      "theirs/images/a/_empty",
      "theirs/images/a/json",
      "theirs/images/a/layer",
      "theirs/images/b-c",
      "theirs/images/b/json",
    ]);
    // The other lists itself at the top, under a key without a name.
    expect(await original.keysIn("")).to.include("");
    expect(await namesOf(driver, "")).to.deep.equal(["at-the-top", "theirs"]);
  });

  it("replaces and deletes it, with its folders, and leaves nothing of it", async () => {
    const { driver } = stage;
    await driver.delete("at-the-top");
    for (const key of await keysOf(driver, "theirs")) await driver.delete(key);
    await original.putContent("replaced/by/ours", "theirs");
    await put(driver, "replaced/by/ours", "ours");
    expect(String(await original.content("replaced/by/ours"))).to.equal("ours");
    await driver.delete("replaced/by/ours");
    expect(await original.keysIn("theirs/images/a")).to.deep.equal([]);
    expect(await original.keysIn("")).to.deep.equal([""]);
    // The key without a name is not an object's: it stays.
    expect(objects()).to.equal(1);
  });

  it("writes what the other has: contents under their keys, tags, markers of folders, never an empty content", async () => {
    const { driver } = stage;
    await put(driver, "ours/a/json", "{}");
    await put(driver, "ours/a/empty", "");
    await driver.write("ours/a/layer", repeated(block, large), large);
    await driver.write("ours/upload", repeated(block, large));
    await driver.move("ours/upload", "ours/a/moved");
    expect(String(await original.content("ours/a/json"))).to.equal("{}");
    expect(String(await original.content("ours/a/empty"))).to.equal("EMPTY");
    expect(String(await original.content("ours/a"))).to.equal("DIRECTORY");
    for (const key of ["ours/a/layer", "ours/a/moved"]) {
      const content = await original.content(key);
      expect(content?.equals(Buffer.alloc(large, block)), key).to.be.true;
    }
    expect(await original.keysIn("ours/a")).to.deep.equal(["empty", "json", "layer", "moved"].map((name) => `ours/a/${name}`)); // prettier-ignore
    expect(await original.keysIn("ours")).to.deep.equal(["ours/a"]);
    for (const key of await keysOf(driver, "ours")) await driver.delete(key);
    expect(objects()).to.equal(1);
  });

  it("keeps what looks like the other's marks apart from them", async () => {
    const { driver } = stage;
    for (const text of ["EMPTY", "DIRECTORY"]) {
      await put(driver, "marks/file", text);
      expect([await textOf(driver, "marks/file"), (await driver.stat("marks/file")).size]).to.deep.equal([text, text.length]); // prettier-ignore
    }
    await driver.delete("marks/file");
    expect(objects()).to.equal(1);
  });

  it("sees nothing of another namespace", async () => {
    const { driver } = stage;
    const names = ["", "OTHER"];
    for (const namespace of names) {
      const other = await openElliptics(ellipticsSettings(stage.cluster, { elliptics_namespace: namespace }));
      await other.write("apart/key", source(namespace || "none"));
      expect(await keysOf(other, "")).to.deep.equal(["apart/key"]);
      expect(String(await original.content("apart/key", 1, namespace))).to.equal(namespace || "none");
      await other.close();
    }
    expect(await keysOf(driver, "")).to.deep.equal([]);
  });
});
