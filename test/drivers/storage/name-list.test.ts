import { expect } from "chai";
import { NameList } from "../../../src/drivers/storage/remembered/name-list.ts";

describe("a list of names", () => {
  const listOf = (...names: string[]): NameList => {
    const list = new NameList();
    list.load(names);
    return list;
  };
  const nobodyAsks = async (name: string): Promise<boolean> => await Promise.reject(new Error(`asked for ${name}`));
  const yes = async (): Promise<boolean> => await Promise.resolve(true);
  const no = async (): Promise<boolean> => await Promise.resolve(false);

  it("gives parts of what was loaded, and asks nobody", async () => {
    const list = listOf("a", "b", "c");
    expect(await list.part("", 2, nobodyAsks)).to.deep.equal({ names: ["a", "b"], last: "b" });
    expect(await list.part("b", 2, nobodyAsks)).to.deep.equal({ names: ["c"], last: undefined });
    expect(await list.part("bb", 1, nobodyAsks)).to.deep.equal({ names: ["c"], last: "c" });
  });

  it("asks once for what has changed, when it is reached", async () => {
    const list = listOf("a", "b", "d");
    list.changed("b");
    list.written("c");
    list.written("a");
    expect((await list.part("", 1, nobodyAsks)).names).to.deep.equal(["a"]);
    expect((await list.part("", 9, async (name) => await Promise.resolve(name === "c"))).names).to.deep.equal([
      "a",
      "c",
      "d",
    ]);
    expect((await list.part("", 9, nobodyAsks)).names).to.deep.equal(["a", "c", "d"]);
  });

  it("goes on behind a part of which nothing is left", async () => {
    const list = listOf("a", "b", "c");
    list.changed("a");
    list.changed("b");
    expect(await list.part("", 2, no)).to.deep.equal({ names: [], last: "b" });
    expect((await list.part("b", 2, no)).names).to.deep.equal(["c"]);
  });

  it("asks again for what was written while it was asked for", async () => {
    const list = listOf("a");
    list.changed("a");
    const gone = await list.part("", 9, async () => {
      list.written("a");
      return await no();
    });
    expect(gone.names).to.deep.equal([]);
    expect((await list.part("", 9, yes)).names).to.deep.equal(["a"]);
  });

  it("believes the later of two answers", async () => {
    const list = listOf("a");
    list.changed("a");
    const answers: ((isThere: boolean) => void)[] = [];
    const asked = list.part("", 9, async () => await new Promise<boolean>((resolve) => answers.push(resolve)));
    list.changed("a");
    expect((await list.part("", 9, no)).names).to.deep.equal([]);
    answers[0]?.(true);
    await asked;
    expect((await list.part("", 9, nobodyAsks)).names).to.deep.equal([]);
  });

  it("does not learn from a question that failed", async () => {
    const list = listOf("a");
    list.changed("a");
    expect(await list.part("", 9, nobodyAsks).catch((error: unknown) => String(error))).to.match(/asked for a/);
    expect((await list.part("", 9, no)).names).to.deep.equal([]);
  });

  it("keeps doubts from before it was loaded", async () => {
    const list = new NameList();
    list.written("a");
    list.load(["b"]);
    expect((await list.part("", 9, yes)).names).to.deep.equal(["a", "b"]);
  });
});
