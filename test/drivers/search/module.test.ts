import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { SearchIndexError } from "../../../src/drivers/search/errors.ts";
import { openSearchIndex } from "../../../src/drivers/search/index.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { describeSearchIndex } from "../../support/search-conformance.ts";

const fixtures = fileURLToPath(new URL("fixtures", import.meta.url));
const body = ["search", "put", "delete", "fill", "ping", "close"].map((name) => `${name}() {}`).join(", ");

describeSearchIndex("of an operator's module", async () => {
  const index = await openSearchIndex({ backend: "./plain-index.js", folder: fixtures });
  return { index, second: index, remove: () => index.close() };
});

describe("openSearchIndex", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(async () => {
    await removeFolder(folder);
  });

  const open = async (backend?: string, databaseUrl?: string) =>
    await openSearchIndex({ backend, databaseUrl, folder });
  const module = async (text: string, path = "index.mjs") => {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  const failure = async (backend: string, databaseUrl?: string) => {
    const error: unknown = await open(backend, databaseUrl).catch((reason: unknown) => reason);
    if (!(error instanceof SearchIndexError)) throw new Error("a SearchIndexError was expected", { cause: error });
    return error.message;
  };

  for (const backend of [undefined, ""]) {
    it(`answers an index that knows nothing for ${backend === undefined ? "no backend" : "an empty one"}`, async () => {
      const index = await open(backend, "sqlite:////nowhere");
      await index.put({ name: "a/b", description: "" });
      await index.delete("a/b");
      expect(
        await index.fill(() => {
          throw new Error("an empty index needs no walk");
        }),
      ).to.equal(0);
      await index.ping();
      expect(await index.search({ text: "a", page: 2, pageSize: 7 })).to.deep.equal({
        total: 0,
        page: 2,
        pageSize: 7,
        results: [],
      });
      await index.close();
    });
  }

  for (const backend of ["database", "sqlalchemy"]) {
    it(`answers a database for ${backend}`, async () => {
      const index = await open(backend, "sqlite://");
      expect(index.name).to.equal("sqlite");
      await index.close();
    });
  }

  it("says that a database needs a URL, and which ones there are", async () => {
    expect(await failure("database")).to.match(/needs the URL/);
    expect(await failure("database", "mysql://me:hunter2@db/x")).to.match(/"mysql" is not supported: use sqlite/);
  });

  const exports: [string, string][] = [
    ["a default export", `export default { name: "mine", ${body} }`],
    ["an export named index", `export const index = { name: "mine", ${body} }`],
    [
      "a function named open",
      `export async function open({ folder, databaseUrl }) { return { name: "mine", folder, databaseUrl, ${body} } }`,
    ],
    ["a default function", `export default () => ({ name: "mine", ${body} })`],
    ["a CommonJS module", `module.exports = { name: "mine", ${body} }`],
  ];
  for (const [what, text] of exports) {
    it(`takes ${what} of a file beside the configuration`, async () => {
      const path = text.startsWith("module") ? "mine.cjs" : "mine.mjs";
      await module(text, path);
      for (const backend of [`./${path}`, path, join(folder, path)]) {
        expect(await open(backend)).to.have.property("name", "mine");
      }
    });
  }

  it("tells a function the database's URL and the folder of the configuration", async () => {
    await module(`export const open = (context) => ({ name: JSON.stringify(context), ${body} })`);
    const index = await open("./index.mjs", "sqlite://");
    expect(JSON.parse(index.name)).to.deep.equal({ databaseUrl: "sqlite://", folder });
  });

  it("takes a package that is installed beside the configuration", async () => {
    await module(`{ "name": "my-index", "main": "main.cjs" }`, "node_modules/my-index/package.json");
    await module(`exports.index = { ${body} }`, "node_modules/my-index/main.cjs");
    expect(await open("my-index")).to.have.property("name", "my-index");
  });

  it("runs the methods of an index without a name on the index itself", async () => {
    await module(
      `export default new (class { asked = []; ${body.replaceAll(",", "")} search(query) { this.asked.push(query); return this.asked } })()`,
    );
    const index = await open("./index.mjs");
    const query = { text: "x", page: 1, pageSize: 1 };
    expect(await index.search(query)).to.deep.equal([query]);
  });

  it("says what is missing", async () => {
    expect(await failure("./none.mjs")).to.equal(
      `The search backend "./none.mjs" is missing: there is no file ${join(folder, "none.mjs")}`,
    );
    expect(await failure("no-such-index")).to.match(
      /"no-such-index" is missing: install it with "npm install no-such-index"/,
    );
    await module(`import "no-such-package"; export default { ${body} }`);
    expect(await failure("./index.mjs")).to.match(/"\.\/index\.mjs" failed to load: .*no-such-package/);
  });

  it("says what is wrong with an export", async () => {
    await module("export const other = 1");
    expect(await failure("./index.mjs")).to.match(/exports no index: export it as open, index or default/);
    await module("export default { name: 'x', search() {}, put() {}, delete() {} }", "half.mjs");
    expect(await failure("./half.mjs")).to.match(/is no search index: it has no fill, ping, close$/);
    await module("export const open = () => 7", "seven.mjs");
    expect(await failure("./seven.mjs")).to.match(/is no search index/);
    await module("export function open() { throw new Error('no licence') }", "throws.mjs");
    expect(await failure("./throws.mjs")).to.match(/could not be opened: no licence/);
    await module("export default {", "syntax.mjs");
    expect(await failure("./syntax.mjs")).to.match(/failed to load/);
  });
});
