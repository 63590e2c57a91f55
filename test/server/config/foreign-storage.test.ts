import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { findStorage } from "../../../src/drivers/storage/index.ts";
import { describe as described } from "../../../src/server/config/describe.ts";
import { load } from "../../../src/server/config/load.ts";
import type { Loaded } from "../../../src/server/config/flavors.ts";
import { openStore } from "../../../src/server/store.ts";
import { createLog } from "../../../src/server/log.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { describeStorage } from "../../support/storage-conformance.ts";

const kit = new URL("../../../src/drivers/storage/kit.ts", import.meta.url).href;
const memory = fileURLToPath(new URL("../../../src/drivers/storage/memory.ts", import.meta.url));

/** A driver with no more than the basics, over the one in memory. */
const basics = `
import { openMemory } from ${JSON.stringify(memory)};
import { completed, defineStorage, option, z } from ${JSON.stringify(kit)};
const open = async ({ box, lid }) => {
  const whole = openMemory();
  const { name, ...rest } = { name: box + ":" + lid.join() };
  return completed({
    name,
    read: (...all) => whole.read(...all),
    write: (...all) => whole.write(...all),
    stat: (...all) => whole.stat(...all),
    list: (...all) => whole.list(...all),
    delete: (...all) => whole.delete(...all),
    ...rest,
  });
};
const options = z.object({
  box: option(z.string().regex(/^[a-z]+$/), { description: "The box." }),
  lid: option(z.string().default("x y").transform((text) => text.split(" ")), { description: "The lid." }),
  storage_path: option(z.string().default("/boxes"), { description: "The folder." }),
});`;
const whole = `${basics}\nexport default defineStorage({ name: "box", summary: "A box.", options, open });`;

describe("a storage by others", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(async () => {
    await removeFolder(folder);
  });

  const file = async (path: string, text: string): Promise<string> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
    return join(folder, path);
  };
  const loaded = async (options: string, cwd = "/", env = {}): Promise<Loaded> => {
    const configFile = await file("etc/config.yml", `dev:\n${options.replaceAll(/^/gm, "  ")}\nother: {}\n`);
    return await load({ configFile, env, cwd });
  };
  const failure = async (options: string, cwd?: string): Promise<string> =>
    await loaded(options, cwd).then(
      () => "no failure",
      (error: unknown) => String(error),
    );
  const opened = async ({ settings }: Loaded): Promise<string> => {
    const store = await openStore(settings, createLog({ level: "error" }));
    await store.close();
    const driver = await findStorage(settings.storage)?.open(settings);
    return driver?.name ?? "";
  };

  it("is the module at a path from the file's folder, and its options are the flavor's", async () => {
    const path = await file("etc/drivers/box.mjs", whole);
    const flavor = await loaded("storage: ./drivers/box.mjs\nbox: _env:BOX\nlid: a b", "/", { BOX: "blue" });
    expect(flavor.settings).to.include({ storage: path, box: "blue", lid: "a b", storage_path: "/boxes" });
    expect(await opened(flavor), "its transformations are made once").to.equal("blue:a,b");
    const shown = new Map(described(flavor).map(({ key, value }) => [key, value]));
    expect([shown.get("storage"), shown.get("box"), shown.get("lid")]).to.deep.equal([path, "blue", "a b"]);
    expect([...shown.keys()].slice(0, 4)).to.deep.equal(["storage", "box", "lid", "storage_path"]);
  });

  it("has the defaults that it says it has", async () => {
    await file("etc/box.mjs", whole);
    const flavor = await loaded("storage: ./box.mjs\nbox: blue");
    expect(await opened(flavor)).to.equal("blue:x,y");
    expect(described(flavor).find(({ key }) => key === "lid")).to.deep.include({
      value: "x y",
      origin: { kind: "default" },
    });
  });

  const packages: [string, string, string][] = [
    ["from the file's folder", "node_modules/registryctl-driver-box", '{ "exports": { "import": "./main.mjs" } }'],
    ["from a folder above it", "node_modules/registryctl-driver-box", '{ "main": "./main.mjs" }'],
    ["from the working directory", "work/node_modules/registryctl-driver-box", '{ "exports": "./main.mjs" }'],
    ["by its whole name", "node_modules/@mine/box", '{ "exports": { ".": { "default": "./main.mjs" } } }'],
    ["as a folder", "etc/box", '{ "exports": [{ "require": "./none.cjs" }, { "node": "./main.mjs" }] }'],
  ];
  for (const [where, path, description] of packages) {
    it(`is a package that is found ${where}`, async () => {
      const inEtc = where.includes("file's") ? `etc/${path}` : path;
      await file(`${inEtc}/package.json`, description);
      await file(`${inEtc}/main.mjs`, whole);
      const name = path.includes("@") ? "'@mine/box'" : path.startsWith("etc") ? "./box" : "box";
      const flavor = await loaded(`storage: ${name}\nbox: blue`, join(folder, "work"));
      expect(await opened(flavor)).to.equal("blue:x,y");
    });
  }

  it("may have its options in common, also for flavors that choose another storage", async () => {
    await file("etc/box.mjs", whole);
    const configFile = await file(
      "etc/two.yml",
      "common: { box: blue }\ndev: { storage: ./box.mjs }\nprod: { storage: memory }\nlocal: { storage: memory, lid: x }",
    );
    for (const flavor of ["dev", "prod"]) {
      const { warnings } = await load({ configFile, flavor, env: {}, cwd: "/" });
      expect(warnings, flavor).to.deep.equal([]);
    }
    const { warnings } = await load({ configFile, flavor: "local", env: {}, cwd: "/" });
    expect(warnings.map(({ key, problem }) => [key, /is not used/.test(problem)])).to.deep.equal([["lid", true]]);
  });

  it("takes several workers, and no option that it doesn't know", async () => {
    await file("etc/box.mjs", whole);
    expect((await loaded("storage: ./box.mjs\nbox: blue\nworkers: 3")).settings.workers).to.equal(3);
    expect(await failure("storage: ./box.mjs\nbox: BLUE\nlidd: x")).to.match(
      /:3: flavor dev: box: "BLUE" is not a text: Invalid string.*\n {2}Write a text\. The box\.\n.*:4: .*lidd: is no option\n {2}Did you mean lid\?/,
    );
    expect(await failure("storage: ./box.mjs")).to.match(/box: is missing\n {2}Add box: a text\. The box\./);
  });

  it("is missed with the name of the package to install, or of what may have been meant", async () => {
    const text = await failure("storage: locall\nfolder: x");
    expect(text).to.match(/:2: flavor dev: storage: there is no storage "locall", .* registryctl-driver-locall is not/);
    expect(text).to.match(
      /Did you mean local\? .* run npm install registryctl-driver-locall in \/.*\/etc; else choose/,
    );
    expect(text, "nobody knows its options").not.to.contain("folder");
    expect(await failure("storage: ../none.mjs")).to.contain(`there is no file ${join(folder, "none.mjs")}`);
    expect(await failure("storage: ../../../up stairs")).to.contain("there is no file");
    expect(await failure("storage: 'up stairs'")).to.contain("can't be the name of a package either");
    expect(await failure("storage: azureblob")).to.contain("the storage azureblob is not supported");
  });

  const wrong: [string, string, RegExp][] = [
    ["throws", "throw new Error('no licence')", /box\.mjs can't be used: no licence\n/],
    ["is broken", "export default {", /can't be used: Unexpected/],
    ["needs what is missing", "import 'no-such-package'", /can't be used: Cannot find package 'no-such-package'/],
    ["exports no driver", "export const other = 1", /exports no driver: export what defineStorage makes/],
    ["cannot be opened", "export default { open: 7, options: {} }", /its open is no function/],
    ["has no options", "export default { open() {} }", /its options are not what z\.object of zod 4 makes/],
    [
      "takes a name of the registry's own",
      `${basics} export default { open, options: z.object({ http: z.string(), workers: z.string() }) }`,
      /its options http and workers have names of the registry's own/,
    ],
  ];
  for (const [what, text, message] of wrong) {
    it(`is refused when its module ${what}`, async () => {
      await file("etc/box.mjs", text);
      expect(await failure("storage: ./box.mjs"))
        .to.match(message)
        .and.to.contain(":2: flavor dev: storage:");
    });
  }

  it("is refused when what it opens is no driver, with all that is missing", async () => {
    await file("etc/box.mjs", `${basics}\nexport const storage = { options: z.object({}), open: () => ({ name: "x", read() {} }) };`); // prettier-ignore
    const { settings } = await loaded("storage: ./box.mjs");
    const error: unknown = await openStore(settings, createLog({ level: "error" })).catch((reason: unknown) => reason);
    expect(error).to.have.property("code", "REFUSED");
    expect(String(error)).to.match(/box\.mjs has no features, write, stat, list, .*: completed\(\) makes/);
  });
});

let installed: string;
describeStorage(
  "what completed() makes of the basics",
  async () => {
    installed = await temporaryFolder();
    await writeFile(join(installed, "box.mjs"), whole);
    await writeFile(join(installed, "config.yml"), "dev: { storage: ./box.mjs, box: blue }");
    const { settings } = await load({ configFile: join(installed, "config.yml"), env: {}, cwd: "/" });
    const driver = await findStorage(settings.storage)?.open(settings);
    if (!driver) throw new Error("the driver is not found");
    return driver;
  },
  async () => {
    await removeFolder(installed);
  },
  { inMemory: true },
);
