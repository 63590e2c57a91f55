import { expect } from "chai";
import { z } from "zod";
import { option } from "../../../src/drivers/option.ts";
import { Reading } from "../../../src/server/config/reading.ts";
import { parseTree } from "../../../src/server/config/yaml-tree.ts";

describe("reading a map", () => {
  const schema = z.object({
    bucket: option(z.string().min(1).optional(), { description: "The bucket.", aliases: ["old_bucket"] }),
    prefix: option(z.string().optional(), { description: "May be empty." }),
    numbers: option(z.array(z.int()).optional(), { description: "Some numbers." }),
  });

  function read(yaml: string, env = {}) {
    const { root } = parseTree(yaml);
    if (root?.kind !== "map") throw new Error("no map");
    const reading = new Reading(env);
    return { values: reading.object(root, schema, []), reading };
  }

  it("takes an option by another name of it", () => {
    const { values, reading } = read("old_bucket: a");
    expect(values).to.deep.equal({ bucket: "a" });
    expect(reading.strangers).to.deep.equal([]);
  });

  it("prefers an option's own name", () => {
    expect(read("bucket: a\nold_bucket: b").values).to.deep.equal({ bucket: "a" });
    expect(read("old_bucket: b\nbucket: a").values).to.deep.equal({ bucket: "a" });
  });

  it("keeps an empty text only where the option may be empty", () => {
    expect(read("bucket: ''\nprefix: ''").values).to.deep.equal({ prefix: "" });
    expect(read("bucket: _env:A\nprefix: _env:A", { A: "" }).values).to.deep.equal({ prefix: "" });
  });

  it("is nothing when nothing in it has a value", () => {
    expect(read("bucket: ~\nnumbers: _env:A").values).to.equal(undefined);
  });

  it("makes numbers of text, one by one or in brackets", () => {
    expect(read("numbers: 1, 2 3").values).to.deep.equal({ numbers: [1, 2, 3] });
    expect(read("numbers: _env:A", { A: "[1,2,3]" }).values).to.deep.equal({ numbers: [1, 2, 3] });
    expect(read("numbers: [1, ~, '_env:A', 3]", {}).values).to.deep.equal({ numbers: [1, 3] });
  });

  it("leaves text alone that can't be what is asked for", () => {
    expect(read("numbers: _env:A", { A: "[1, 2" }).values).to.deep.equal({ numbers: "[1, 2" });
    expect(read("numbers: 1, x").values).to.deep.equal({ numbers: [1, "x"] });
  });

  it("remembers keys that nobody knows, with what would be known", () => {
    const { strangers } = read("a: 1\nbukket: {c: 1}").reading;
    expect(strangers.map(({ path, line }) => [path, line])).to.deep.equal([
      [["a"], 1],
      [["bukket"], 2],
    ]);
    expect(strangers[0]?.known).to.deep.equal(["bucket", "prefix", "numbers"]);
  });
});
