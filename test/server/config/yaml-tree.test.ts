import { expect } from "chai";
import { parseTree, type Node } from "../../../src/server/config/yaml-tree.ts";

describe("the tree of a YAML file", () => {
  const shapes: [string, string, unknown][] = [
    [
      "keeps scalars as they are written",
      "a: 0123\nb: 1e3\nc: yes\nd: 2014-01-01",
      { a: "0123", b: "1e3", c: "yes", d: "2014-01-01" },
    ],
    [
      "reads quotes, escapes and blocks",
      `a: "x\\ty"\nb: 'it''s'\nc: |\n  two\n  lines\n`,
      { a: "x\ty", b: "it's", c: "two\nlines\n" },
    ],
    [
      "includes an anchor's map with <<",
      "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3",
      { a: { x: "1", y: "2" }, b: { x: "1", y: "3" } },
    ],
    [
      "lets the first of several included maps win",
      "- &a {x: 1}\n- &b {x: 2, y: 3}\n- {<<: [*a, *b]}",
      [{ x: "1" }, { x: "2", y: "3" }, { x: "1", y: "3" }],
    ],
    [
      "lets what is written win wherever << stands",
      "a: &a {x: 1}\nb: {x: 2, <<: *a}",
      { a: { x: "1" }, b: { x: "2" } },
    ],
    [
      "includes what was included before",
      "a: &a {x: 1}\nb: &b {<<: *a}\nc: {<<: *b}",
      { a: { x: "1" }, b: { x: "1" }, c: { x: "1" } },
    ],
    ["takes a quoted << as a name", 'a: {"<<": 1}', { a: { "<<": "1" } }],
    ["lets an anchor be written again", "a: &a 1\nb: *a\nc: &a 2\nd: *a", { a: "1", b: "1", c: "2", d: "2" }],
    ["reads Windows line ends and a byte order mark", "\uFEFFa: 1\r\nb:\r\n  - 2\r\n", { a: "1", b: ["2"] }],
    [
      "takes the names of JavaScript's prototypes as names",
      "__proto__: {x: 1}\nconstructor: 2",
      Object.fromEntries([
        ["__proto__", { x: "1" }],
        ["constructor", "2"],
      ]),
    ],
  ];
  for (const [sentence, source, shape] of shapes) {
    it(sentence, () => {
      const { root, flaws } = parseTree(source);
      expect(flaws).to.deep.equal([]);
      expect(root && plain(root)).to.deep.equal(shape);
    });
  }

  const broken: [string, string, number, RegExp][] = [
    ["a key that is written twice", "a: 1\nb: 2\na: 3", 3, /says a twice/],
    ["a key that is written twice in a section", "a:\n  b: 1\n  b: 1", 3, /says b twice/],
    ["an alias without an anchor", "a: 1\nb: *x", 2, /uses an anchor that is not there/],
    ["an alias within its own anchor", "a: &a\n  b: *a", 2, /anchor within what it stands for/],
    ["a map that includes itself", "a: &a\n  <<: *a", 2, /anchor within what it stands for/],
    ["an included text", "a: &a text\nb:\n  <<: *a", 1, /no map/],
    ["a tag", "a: !!python/object:os.system x", 1, /a YAML tag/],
    ["a list as a key", "? [a]\n: 1", 1, /a list or a map as a key/],
    ["a second document", "a: 1\n---\nb: 1", 1, /more than one/],
    ["bad indentation", "a: 1\n b: 2", 2, /indentation/],
    ["an open bracket", "a: [1, 2\n", 2, /is no YAML/],
    ["a tab", "a:\n\tb: 1", 2, /is no YAML/],
    ["too much nesting", "[".repeat(60), 1, /nesting/],
  ];
  for (const [what, source, line, problem] of broken) {
    it(`tells the line of ${what}`, () => {
      const { flaws } = parseTree(source);
      expect(flaws.map((flaw) => flaw.line)).to.deep.equal([line]);
      expect(flaws[0]?.problem).to.match(problem);
      expect(flaws[0]?.remedy).to.match(/\.$/);
    });
  }

  const secrets = [
    "!hunter2!x",
    "!hunter2",
    "!<hunter 2> x",
    '"\\hunter2"',
    "@hunter2",
    "%hunter2",
    "*hunter2",
    "|hunter2",
    "[hunter2",
  ];
  for (const secret of secrets) {
    it(`doesn't repeat ${secret}, which should have been quoted`, () => {
      const { flaws } = parseTree(`password: ${secret}`);
      expect(flaws).to.have.length(1);
      expect(JSON.stringify(flaws)).not.to.contain("hunter");
    });
  }

  it("stops including when that can't be meant", () => {
    const keys = Array.from({ length: 1000 }, (_, index) => `k${index}: 1`).join(", ");
    const source = `a: &a {${keys}}\nb:\n  <<: [${Array(10_000).fill("*a").join(", ")}]`;
    expect(parseTree(source).flaws.map((flaw) => flaw.problem)).to.deep.equal([
      "includes so much with << that it can't be meant",
    ]);
  });

  it("shares what aliases repeat, so that a billion laughs are cheap", () => {
    const lines = ["l0: &l0 [lol]"];
    for (let level = 1; level < 40; level++)
      lines.push(
        `l${level}: &l${level} [${Array(9)
          .fill(`*l${level - 1}`)
          .join(", ")}]`,
      );
    expect(parseTree(lines.join("\n")).flaws).to.deep.equal([]);
  });

  it("remembers under which outermost key something is written", () => {
    const { root } = parseTree("common: &c\n  http: &h\n    port: 1\ndev:\n  <<: *c\n  debug: true\n");
    const dev = root?.kind === "map" ? root.entries.get("dev")?.value : undefined;
    const homes = dev?.kind === "map" ? [...dev.entries].map(([name, { home, line }]) => [name, home, line]) : [];
    expect(homes).to.deep.equal([
      ["debug", "dev", 6],
      ["http", "common", 2],
    ]);
  });
});

function plain(node: Node): unknown {
  if (node.kind === "scalar") return node.text;
  if (node.kind === "list") return node.items.map(plain);
  return Object.fromEntries([...node.entries].map(([name, { value }]) => [name, plain(value)]));
}
