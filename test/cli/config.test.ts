import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl, succeeds } from "../support/cli.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

interface Shown {
  readonly file: string;
  readonly flavor: string;
  readonly values: readonly { readonly key: string; readonly value: unknown; readonly origin: object }[];
}

describe("registryctl config", () => {
  let cwd: string;
  before(async () => {
    cwd = await temporaryFolder();
    await writeFile(
      join(cwd, "config.yml"),
      `common:
  loglevel: _env:LOGLEVEL:warn
prod:
  storage: local
  storage_path: _env:STORAGE_PATH
  bugsnag: sesame-open
  sqlalchemy_index_database: postgresql://me:sesame@db/registry
  cache_lru: { host: redis, password: sesame }
`,
    );
  });
  after(async () => {
    await removeFolder(cwd);
  });
  const args = ["-c", "config.yml", "-f", "prod"];
  const env = { STORAGE_PATH: "/srv/registry" };

  it("shows every value with its origin, and no secret", async () => {
    const shown = JSON.parse(await succeeds(["config", "show", "--json", ...args], { cwd, env })) as Shown;
    expect(shown).to.include({ file: join(cwd, "config.yml"), flavor: "prod" });
    const values = new Map(shown.values.map(({ key, ...rest }) => [key, rest]));
    expect(values.get("loglevel")).to.deep.include({ value: "warn" });
    expect(values.get("loglevel")?.origin).to.include({ kind: "common", line: 2, unset: "LOGLEVEL" });
    expect(values.get("storage_path")).to.deep.equal({
      value: "/srv/registry",
      origin: { kind: "environment", variable: "STORAGE_PATH" },
    });
    expect(values.get("http.port")).to.deep.equal({ value: 5000, origin: { kind: "default" } });
    expect(JSON.stringify(shown)).not.to.contain("sesame");
  });

  it("shows the same as a table", async () => {
    const { stdout, stderr } = await registryctl(["config", "show", ...args], { cwd, env });
    const lines = stdout.split("\n");
    expect(lines[0]).to.match(/^OPTION +VALUE +ORIGIN$/);
    expect(stdout).to.match(/^storage_path +\/srv\/registry +environment STORAGE_PATH$/m);
    expect(stdout).not.to.contain("sesame");
    expect(stdout).not.to.contain("\u001b[");
    expect(stderr).to.equal(`${join(cwd, "config.yml")}, flavor prod\n`);
  });

  it("colours the table on a terminal, unless NO_COLOR is set", async () => {
    const coloured = await registryctl(["config", "show", ...args], { cwd, env, terminal: true });
    expect(coloured.stdout).to.contain("\u001b[");
    const plain = await registryctl(["config", "show", ...args], {
      cwd,
      env: { ...env, NO_COLOR: "1" },
      terminal: true,
    });
    expect(plain.stdout).not.to.contain("\u001b[");
  });

  it("ends with 3 and says where the mistakes are", async () => {
    await writeFile(join(cwd, "wrong.yml"), "dev:\n  storage: local\n  storage_pat: /x\n  loglevel: loud\n");
    const { code, stdout, stderr } = await registryctl(["config", "show", "-c", "wrong.yml"], { cwd });
    expect(code).to.equal(3);
    expect(stdout).to.equal("");
    expect(stderr).to.contain("wrong.yml:3").and.contain("storage_path").and.contain("wrong.yml:4");
  });

  it("prints the path of the file that counts", async () => {
    expect(await succeeds(["config", "path", "-c", "config.yml"], { cwd })).to.equal(`${join(cwd, "config.yml")}\n`);
    const named = await succeeds(["config", "path"], { cwd, env: { DOCKER_REGISTRY_CONFIG: "/etc/registry.yml" } });
    expect(named).to.equal("/etc/registry.yml\n");
  });

  it("prints a JSON Schema that knows the options", async () => {
    const schema = JSON.parse(await succeeds(["config", "schema"])) as { $defs: { flavor: { properties: object } } };
    expect(schema.$defs.flavor.properties).to.include.keys("storage", "storage_path", "http", "privileged_key");
  });
});
