import { readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl, succeeds } from "../support/cli.ts";
import { fingerprints, oldStore, writeStore, type OldStore } from "../support/old-store.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

describe("registryctl copy", function () {
  this.timeout(180_000);
  let cwd: string;
  let store: OldStore;
  beforeEach(async () => {
    cwd = await temporaryFolder();
    store = oldStore("0.9.1", 4);
    await writeStore(join(cwd, "old"), store.files);
    const flavor = (name: string, path: string) => `${name}: { storage: local, storage_path: ${cwd}/${path} }\n`;
    const server = "boto_host: 127.0.0.1, boto_port: 1, s3_secure: false, s3_access_key: a, s3_secret_key: b";
    const away = `away: { storage: s3, s3_bucket: images, ${server} }\n`;
    await writeFile(
      join(cwd, "config.yml"),
      `${flavor("old", "old")}${flavor("new", "new")}${flavor("alias", "alias")}${flavor("same", "old")}${flavor("none", "none")}${away}trial: { storage: memory }\nindexed: { storage: local, storage_path: ${cwd}/new, search_backend: database, sqlalchemy_index_database: "sqlite:///${cwd}/search.db" }\n`,
    );
  });
  afterEach(async () => {
    await removeFolder(cwd);
  });

  const args = (...more: readonly string[]) => ["copy", "-c", "config.yml", "--from", "old", "--to", "new", ...more];

  it("tells what it would copy and writes nothing", async () => {
    const { code, stdout, stderr } = await registryctl(args("--dry-run"), { cwd });
    expect(code).to.equal(0);
    const [heading, repositories, , tags, images, blobs, bytes] = stdout.split("\n");
    expect(heading).to.equal(`${cwd}/old → ${cwd}/new`);
    expect(repositories).to.equal("repositories: 0 of V2, 4 of V1");
    expect([tags, images, blobs].map((line) => line?.split(/ {2,}/))).to.deep.equal([
      ["tags", "6", "0"],
      ["V1 images", "17", "0"],
      ["blobs", "17", "0"],
    ]);
    expect(bytes).to.match(/^\d.* kB to copy$/);
    expect(stderr).to.equal("nothing was changed\n");
    expect((await readdir(cwd)).sort()).to.deep.equal(["config.yml", "old"]);
  });

  it("copies, with a bar on a terminal alone, and has nothing left to do then", async () => {
    const before = await fingerprints(join(cwd, "old"));
    const { code, stdout, stderr } = await registryctl(args(), { cwd, terminal: true });
    expect(code).to.equal(0);
    expect(stdout).to.match(/tags +6 +0/);
    expect(stderr).to.match(/\rcopying .* of .*, 6\/6 tags, .*\/s, .* left/);
    const again = await registryctl(args(), { cwd });
    expect(again.stdout).to.match(/tags +0 +6/);
    expect(again.stderr).to.equal("");
    expect([...(await fingerprints(join(cwd, "old")))].sort()).to.deep.equal([...before].sort());
    expect(await succeeds(["ls", "-c", "config.yml", "-f", "new"], { cwd })).to.contain("library/ubuntu");
  });

  it("copies named repositories, and reports as JSON", async () => {
    const more = ["--repository", "ubuntu", "-r", "foo/*", "--jobs", "2", "--json"];
    const report = JSON.parse(await succeeds(args(...more), { cwd })) as Record<string, unknown>;
    expect(report).to.include({ from: `${cwd}/old`, to: `${cwd}/new`, dryRun: false });
    expect(report).to.deep.include({ repositories: { v1: 3, v2: 0 }, problems: [] });
    expect(await readdir(join(cwd, "new/repositories"))).to.have.members(["foo", "library"]);
  });

  it("ends with 1 and says which tags are left out and why", async () => {
    await writeFile(join(cwd, "old/repositories/library/ubuntu/tag_gone"), "9".repeat(64));
    const { code, stdout } = await registryctl(args(), { cwd });
    expect(code).to.equal(1);
    expect(stdout).to.match(/broken +library\/ubuntu:gone: image 9+, or one .* is missing: the tag is not copied/);
    expect(stdout).to.match(/tags +6 +0/);
  });

  it("brings the target's search index up to date", async () => {
    const more = ["copy", "-c", "config.yml", "--from", "old", "--to", "indexed"];
    await succeeds(more, { cwd });
    const { openSearchIndex } = await import("../../src/drivers/search/index.ts");
    const search = await openSearchIndex({ backend: "database", databaseUrl: `sqlite:///${cwd}/search.db`, folder: cwd }); // prettier-ignore
    try {
      const { results } = await search.search({ text: "ubuntu", page: 1, pageSize: 10 });
      expect(results.map(({ name }) => name)).to.deep.equal(["library/ubuntu"]);
    } finally {
      await search.close();
    }
  });

  it("stops in order when it is interrupted", async () => {
    const { code, stderr } = await registryctl(args(), { cwd, signal: AbortSignal.abort() });
    expect(code).to.equal(130);
    expect(stderr).to.equal("interrupted; what was copied is kept, and the same command goes on from there\n");
  });

  for (const [what, flags, code, says] of [
    ["the same flavor twice", ["--to", "old"], 2, "the same flavor"],
    ["no target", undefined, 2, "--to"],
    ["two flavors with one place", ["--to", "same"], 1, "same place"],
    ["two names of one place", ["--to", "alias"], 1, "same place"],
    ["a flavor in memory as the target", ["--to", "trial"], 1, "flavor trial keeps its images in memory"],
    [
      "a flavor in memory as the source",
      ["--from", "trial", "--to", "new"],
      1,
      "flavor trial keeps its images in memory",
    ],
    ["a flavor that there is not", ["--to", "nowhere"], 3, "nowhere"],
    ["a source that is missing", ["--from", "none", "--to", "new"], 1, "/none does not exist\n"],
    ["a source that does not answer", ["--from", "away", "--to", "new"], 1, "error: the s3 storage of flavor away: "],
    ["a target that does not answer", ["--to", "away"], 1, "error: the s3 storage of flavor away: "],
    ["a repository that there is not", ["--to", "new", "-r", "no/such"], 1, "/old: it has no repository no/such"],
    ["no jobs", ["--to", "new", "--jobs", "0"], 2, "from 1 to 64"],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await symlink(join(cwd, "old"), join(cwd, "alias"));
      const from = flags?.[0] === "--from" ? [] : ["--from", "old"];
      const outcome = await registryctl(["copy", "-c", "config.yml", ...from, ...(flags ?? [])], { cwd });
      expect(outcome.code).to.equal(code);
      expect(outcome.stderr).to.contain(says);
      expect(outcome.stdout).to.equal("");
    });
  }
});
