import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl, succeeds } from "../support/cli.ts";
import { fingerprints, oldStore, writeStore, type OldStore } from "../support/old-store.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

describe("registryctl adopt", function () {
  this.timeout(180_000);
  let cwd: string;
  let store: OldStore;
  beforeEach(async () => {
    cwd = await temporaryFolder();
    store = oldStore("0.9.1", 4);
    await writeStore(join(cwd, "data"), store.files);
  });
  afterEach(async () => {
    await removeFolder(cwd);
  });

  it("tells what is there and changes nothing", async () => {
    const before = await fingerprints(cwd);
    const { code, stdout, stderr } = await registryctl(["adopt", "data"], { cwd });
    expect(code).to.equal(0);
    const lines = stdout.split("\n");
    expect(lines[0]).to.equal(join(cwd, "data"));
    expect(lines[1]).to.equal("docker-registry (V1): 4 repositories, 6 tags, 17 images");
    expect(lines[2]).to.equal("  6 of 6 tags can be pulled, 0 are ready for V2");
    expect(stdout).to.contain("foo/UPPER: V2 names have no upper-case letters");
    expect(stdout).to.contain("all could as foo/upper");
    expect(stderr).to.equal("nothing was changed; --write makes 6 tags ready, as the first pull would\n");
    expect([...(await fingerprints(cwd))].sort()).to.deep.equal([...before].sort());
  });

  it("prepares every tag, with a bar on a terminal, and has nothing left to do then", async () => {
    const { code, stdout, stderr } = await registryctl(["adopt", "data", "--write"], { cwd, terminal: true });
    expect(code).to.equal(0);
    expect(stdout).to.contain("6 of 6 tags can be pulled, 6 are ready for V2");
    expect(stderr).to.match(/\rreading layers .*tags/);
    const again = await registryctl(["adopt", "data"], { cwd });
    expect(again.stdout).to.contain("6 are ready for V2");
    expect(again.stderr).to.equal("");
  });

  it("ends with 1 and says which tag is broken and what that means", async () => {
    await writeFile(join(cwd, "data/repositories/library/ubuntu/tag_gone"), "9".repeat(64));
    await writeFile(join(cwd, "data/repositories/library/ubuntu/tag_empty"), "");
    const { code, stdout } = await registryctl(["adopt", "data"], { cwd });
    expect(code).to.equal(1);
    expect(stdout).to.contain(
      `broken   library/ubuntu:gone: image ${"9".repeat(64)} is missing: the tag can't be pulled until it is pushed again`,
    );
    expect(stdout).to.contain("broken   library/ubuntu:empty: the tag names no image");
    const json = await registryctl(["adopt", "data", "--write", "--json"], { cwd });
    expect(json.code).to.equal(1);
    const report = JSON.parse(json.stdout) as {
      v1: object;
      written: boolean;
      problems: { tag?: string; severity: string }[];
    };
    expect(report.written).to.equal(true);
    expect(report.v1).to.include({ tags: 8, sound: 6, prepared: 6, broken: 2 });
    expect(
      report.problems
        .filter(({ severity }) => severity === "broken")
        .map(({ tag }) => tag)
        .sort(),
    ).to.deep.equal(["empty", "gone"]);
  });

  it("takes a flavor's storage, and fills its search index", async () => {
    const database = join(cwd, "search.db");
    await writeFile(
      join(cwd, "config.yml"),
      `dev: { storage: local, storage_path: ${cwd}/data, search_backend: database, sqlalchemy_index_database: "sqlite:///${database}" }`,
    );
    const look = await succeeds(["adopt", "-c", "config.yml"], { cwd });
    expect(look).not.to.contain("search index");
    expect(await readdir(cwd)).not.to.include("search.db");
    const write = await succeeds(["adopt", "-c", "config.yml", "--write"], { cwd });
    expect(write).to.contain("4 repositories added to the search index");
    expect(await succeeds(["adopt", "-c", "config.yml", "--write"], { cwd })).to.contain("was filled before");
  });

  for (const [what, args, code, says] of [
    ["a folder that is missing", ["nowhere"], 1, "/nowhere does not exist\n"],
    ["a folder that holds something else", ["."], 1, "holds no data of a registry"],
    ["a folder and a flavor", ["data", "--flavor", "dev"], 2, "name one of them"],
    ["--write with --quick", ["data", "--write", "--quick"], 2, "--quick does not go with it"],
    ["a flavor in memory", ["-c", "memory.yml"], 1, "in memory"],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await writeFile(join(cwd, "memory.yml"), "dev: { storage: memory }");
      const outcome = await registryctl(["adopt", ...args], { cwd });
      expect(outcome.code).to.equal(code);
      expect(outcome.stderr).to.contain(says);
      expect(outcome.stdout).to.equal("");
      expect(await readdir(cwd)).not.to.include("nowhere");
    });
  }
});
