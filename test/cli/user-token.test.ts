import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl, succeeds } from "../support/cli.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

const hash = "$2y$10$Zm8n1T7gWcB0k2eR5tYuIuV9qLx3yNhJpKdS4fA6sDfGhJkL1zXcV";

describe("registryctl user token", () => {
  let cwd: string;
  beforeEach(async () => {
    cwd = await temporaryFolder();
    await configure({ storage: "local", storage_path: join(cwd, "store") });
    await writeFile(join(cwd, "config/users"), `ann:${hash}\nbob:${hash}\nls:${hash}\n`);
  });
  afterEach(async () => {
    await removeFolder(cwd);
  });
  const configure = async (flavor: object): Promise<void> => {
    await mkdir(join(cwd, "config"), { recursive: true });
    await writeFile(
      join(cwd, "config/config.yml"),
      JSON.stringify({ dev: { ...flavor, auth: { htpasswd: "users" } } }),
    );
  };
  const token = async (...args: readonly string[]) => await registryctl(["user", "token", ...args], { cwd });
  const listed = async (...args: readonly string[]): Promise<readonly Record<string, unknown>[]> => {
    const { keys } = JSON.parse(await succeeds(["user", "token", "ls", "--json", ...args], { cwd })) as {
      keys: Record<string, unknown>[];
    };
    return keys;
  };

  it("prints a new key once, and keeps its hash alone", async () => {
    const { code, stdout, stderr } = await token("ann", "-r", "team/*", "-r", "library/x", "-a", "push, pull");
    expect(code).to.equal(0);
    expect(stdout).to.match(/^rctl_[0-9A-Za-z]{59}\n$/);
    const id = stdout.slice(5, 15);
    expect(stderr).to.contain(`key ${id} of ann`).and.contain("not shown again").and.not.contain(stdout.trim());
    const keys = await listed();
    expect(keys).to.have.length(1);
    const { created, expires, ...others } = keys[0] ?? {};
    const limits = { repositories: ["team/*", "library/x"], actions: ["pull", "push"] };
    expect(others).to.deep.equal({ id, name: "ann", ...limits });
    expect(Date.parse(String(expires)) - Date.parse(String(created))).to.be.closeTo(90 * 86_400_000, 60_000);
    const folder = join(cwd, "store/_registryctl/keys/accounts");
    expect(await readdir(folder)).to.deep.equal([id]);
    expect(await readFile(join(folder, id), "utf8")).not.to.contain(stdout.slice(15, 40));
  });

  it("prints JSON with all that there is to know", async () => {
    const args = [
      "ls",
      "--repository",
      "*",
      "--action",
      "all",
      "--expires",
      "never",
      "--description",
      "for CI",
      "--json",
    ];
    const { key, id, ...others } = JSON.parse(await succeeds(["user", "token", "add", ...args], { cwd })) as Record<
      string,
      unknown
    >;
    expect(key).to.be.a("string").and.contain(id);
    expect(others).to.include({ name: "ls", description: "for CI" }).and.not.have.property("expires");
    expect(others).to.deep.include({ repositories: ["*"], actions: ["pull", "push", "delete"] });
    const table = await succeeds(["user", "token", "ls"], { cwd });
    expect(table).to.match(/^ID +USER +REPOSITORIES +ACTIONS +EXPIRES +DESCRIPTION\n/);
    expect(table).to.match(/ls +\* +pull,push,delete +good for ever +for CI\n$/);
  });

  it("lists and revokes those of one account", async () => {
    for (const name of ["ann", "bob", "ann"]) expect((await token(name, "-r", "*")).code).to.equal(0);
    const [first, second, third] = await listed();
    expect(await listed("ann")).to.deep.equal([first, third]);
    expect(await succeeds(["user", "token", "rm", String(first?.["id"])], { cwd })).to.equal(
      `revoked ${String(first?.["id"])}\n`,
    );
    expect(await listed()).to.deep.equal([second, third]);
    const again = await token("rm", String(third?.["id"]), String(first?.["id"]), "../keys");
    expect(again.code).to.equal(1);
    expect(again.stdout).to.equal(`revoked ${String(third?.["id"])}\n`);
    expect(again.stderr).to.contain(`there is no key ${String(first?.["id"])}, ../keys`);
    expect(await listed()).to.deep.equal([second]);
  });

  it("goes with its account, and is not that of the next of the name", async () => {
    await token("ann", "-r", "*");
    await token("ann", "-r", "*");
    await token("bob", "-r", "*");
    expect(await succeeds(["user", "rm", "ann", "--yes"], { cwd })).to.contain("removed 2 API keys of ann");
    expect((await listed()).map(({ name }) => name)).to.deep.equal(["bob"]);
    // Somebody else has removed the account, who knows nothing of keys.
    await writeFile(join(cwd, "config/users"), `ann:${hash}\n`);
    const { stdout } = await registryctl(["user", "add", "bob", "--password-stdin", "--cost", "10"], {
      ...{ cwd, input: "open sesame" },
    });
    expect(stdout).to.contain("removed 1 API key of bob");
    expect(await listed()).to.deep.equal([]);
  });

  it("changes nothing in a storage that it only looks at", async () => {
    expect(await listed()).to.deep.equal([]);
    expect((await token("ls")).stderr).to.contain("there are no API keys");
    expect((await token("ls", "ann")).stderr).to.contain("ann has no API keys");
    expect(await readdir(cwd)).to.deep.equal(["config"]);
  });

  it("is refused where it could not be kept", async () => {
    await configure({ storage: "memory" });
    const { code, stderr } = await token("ann", "-r", "*");
    expect(code).to.equal(1);
    expect(stderr).to.contain("can't keep API keys");
  });

  for (const [args, code, says] of [
    [["eve", "-r", "*"], 1, "there is no account eve"],
    [["ann"], 2, "required option '-r, --repository"],
    [["ann", "-r", "*", "-a", "read"], 2, "Expected pull, push and delete"],
    [["ann", "-r", "*", "-a", ""], 2, "Expected pull, push and delete"],
    [["ann", "-r", "*", "-e", "soon"], 2, "Expected a time such as 12h"],
    [["ann", "-r", "*", "-e", "0d"], 2, "Expected a time such as 12h"],
    [["ann", "-r", "*", "-e", "9999y"], 2, "Expected a time such as 12h"],
  ] as const) {
    it(`refuses ${args.join(" ")}`, async () => {
      const outcome = await token(...args);
      expect([outcome.code, outcome.stdout]).to.deep.equal([code, ""]);
      expect(outcome.stderr).to.contain(says);
      expect(await listed()).to.deep.equal([]);
    });
  }
});
