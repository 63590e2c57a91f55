import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { findConfig, shippedFolder } from "../../../src/server/config/config-file.ts";
import { load, loadAll, type LoadOptions } from "../../../src/server/config/load.ts";
import { ConfigError } from "../../../src/server/config/problem.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

describe("loading a configuration", () => {
  let cwd: string;
  const memory = (issue: string) =>
    `dev: {storage: memory, issue: ${issue}}\nprod: {storage: memory, issue: ${issue}-prod}\n`;
  const issueOf = async (options: Partial<LoadOptions>) => (await load({ env: {}, cwd, ...options })).settings.issue;

  before(async () => {
    cwd = await temporaryFolder();
    await mkdir(join(cwd, "config"));
    await writeFile(join(cwd, "config/config.yml"), memory("default"));
    await writeFile(join(cwd, "config/named.yml"), memory("named"));
    await writeFile(join(cwd, "here.yml"), memory("here"));
  });

  after(() => removeFolder(cwd));

  it("takes config/config.yml and the flavor dev by default", async () => {
    expect(await issueOf({})).to.equal("default");
  });

  it("takes the file of DOCKER_REGISTRY_CONFIG below the config folder", async () => {
    expect(await issueOf({ env: { DOCKER_REGISTRY_CONFIG: "named.yml" } })).to.equal("named");
  });

  it("takes an absolute DOCKER_REGISTRY_CONFIG", async () => {
    expect(await issueOf({ env: { DOCKER_REGISTRY_CONFIG: join(cwd, "here.yml") } })).to.equal("here");
  });

  it("takes --config relative to the current folder, before anything else", async () => {
    const env = { DOCKER_REGISTRY_CONFIG: "named.yml" };
    expect(await issueOf({ configFile: "here.yml", env })).to.equal("here");
  });

  it("takes SETTINGS_FLAVOR, and --flavor before it; empty is as good as unset", async () => {
    expect(await issueOf({ env: { SETTINGS_FLAVOR: "prod" } })).to.equal("default-prod");
    expect(await issueOf({ env: { SETTINGS_FLAVOR: "none" }, flavor: "prod" })).to.equal("default-prod");
    expect(await issueOf({ env: { SETTINGS_FLAVOR: "", DOCKER_REGISTRY_CONFIG: "" } })).to.equal("default");
  });

  it("takes the shipped files where there are none here", async () => {
    const elsewhere = join(cwd, "config");
    expect(await findConfig({ env: {}, cwd: elsewhere })).to.equal(join(shippedFolder, "config_sample.yml"));
    const env = { DOCKER_REGISTRY_CONFIG: "config_mirror.yml" };
    expect(await findConfig({ env, cwd })).to.equal(join(shippedFolder, "config_mirror.yml"));
  });

  it("says which file isn't there", async () => {
    const missing = await rejection({ env: { DOCKER_REGISTRY_CONFIG: "nowhere.yml" } });
    expect(missing.problems[0]?.file).to.equal(join(cwd, "config/nowhere.yml"));
    expect(missing.message).to.contain("ENOENT").and.to.contain("registryctl init");
  });

  const useless: [string, string, RegExp][] = [
    ["nothing in it", "# nothing\n", /is empty/],
    ["a list", "- a\n", /is no map of flavors/],
    ["broken YAML", "dev:\n  storage: [\n", /broken\.yml:\d: is no YAML/],
    ["too much", "#".repeat(300_000), /larger than 256 KiB/],
  ];
  for (const [what, content, message] of useless) {
    it(`rejects a file with ${what}`, async () => {
      await writeFile(join(cwd, "broken.yml"), content);
      expect((await rejection({ configFile: "broken.yml" })).message).to.match(message);
    });
  }

  it("rejects a folder", async () => {
    expect((await rejection({ configFile: "config" })).message).to.match(/can't be read/);
  });

  it("reports what is wrong with the file beside what is wrong with the flavor", async () => {
    await writeFile(
      join(cwd, "twice.yml"),
      "dev:\n  storage: memory\n  storage: local\n  debug: 5\nother: {storage: x}\n",
    );
    const { problems, message } = await rejection({ configFile: "twice.yml" });
    expect(problems.map(({ line, flavor, key }) => [line, flavor, key])).to.deep.equal([
      [3, undefined, undefined],
      [4, "dev", "debug"],
    ]);
    expect(message.split("\n")).to.deep.equal([
      `${join(cwd, "twice.yml")}:3: says storage twice in the same map`,
      "  Keep one of the two.",
      `${join(cwd, "twice.yml")}:4: flavor dev: debug: "5" is not true or false`,
      "  Write true or false.",
    ]);
  });

  it("checks every flavor but common for check", async () => {
    await writeFile(join(cwd, "all.yml"), "common: {storage: memory}\na: {}\nb: {debug: x}\n");
    const { flavors, problems, file } = await loadAll({ configFile: "all.yml", env: {}, cwd });
    expect(file).to.equal(join(cwd, "all.yml"));
    expect(problems).to.deep.equal([]);
    expect(flavors.map(({ flavor, loaded }) => [flavor, loaded !== undefined])).to.deep.equal([
      ["a", true],
      ["b", false],
    ]);
  });

  async function rejection(options: Partial<LoadOptions>): Promise<ConfigError> {
    try {
      await load({ env: {}, cwd, ...options });
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    throw new Error("nothing was wrong");
  }
});
