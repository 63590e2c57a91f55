import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl, succeeds } from "../support/cli.ts";
import { needs } from "../support/needs.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

describe("registryctl gen-systemd", () => {
  let cwd: string;
  before(async () => {
    cwd = await temporaryFolder();
    await writeFile(
      join(cwd, "config.yml"),
      `srv: { storage: local, storage_path: /srv/registry, http: { port: 5000, shutdown_timeout: 120 } }
tmp: { storage: local, storage_path: /tmp/registry }
home: { storage: local, storage_path: /home/me/registry }
low: { storage: local, storage_path: data, http: { port: 443 } }
search: { storage: local, storage_path: data, search_backend: database, sqlalchemy_index_database: "sqlite:////var/cache/registry/search.db" }
accounts: { storage: local, storage_path: data, auth: { htpasswd: accounts/users, signup: true, audit_log: /var/log/registry/audit.log } }
`,
    );
  });
  after(async () => {
    await removeFolder(cwd);
  });
  const unit = async (flavor: string, ...args: string[]) =>
    await succeeds(["gen-systemd", "-c", "config.yml", "-f", flavor, ...args], { cwd });

  it("starts the flavor as a user of its own and lets it finish", async () => {
    const text = await unit("srv");
    expect(text).to.contain(`ExecStart=${cwd}/node ${cwd}/registryctl serve --config ${cwd}/config.yml --flavor srv\n`);
    expect(text).to.contain("\nUser=registryctl\n").and.contain("\nTimeoutStopSec=150\n");
    expect(text).to.contain("\nRestartPreventExitStatus=2 3\n").and.contain("\nStandardError=journal\n");
  });

  it("may write where its data is, and nowhere else", async () => {
    expect(await unit("srv")).to.contain("\nReadWritePaths=-/srv/registry\n");
    expect(await unit("low")).not.to.contain("ReadWritePaths");
    expect(await unit("search")).to.contain("\nReadWritePaths=-/var/cache/registry\n");
    expect(await unit("home")).to.contain("\nProtectHome=read-only\n");
    const accounts = await unit("accounts");
    expect(accounts).to.contain("\nReadWritePaths=-/var/log/registry\n");
    expect(accounts).to.contain(`\nReadWritePaths=-${cwd}/accounts\n`);
  });

  it("tells how its user gets at the data and the configuration", async () => {
    const text = await unit("srv", "--user", "me");
    expect(text).to.contain("\n#   install --directory --owner=me --group=me /srv/registry\n");
    expect(text).to.contain(`\n#   chgrp me ${cwd}/config.yml && chmod g+r ${cwd}/config.yml\n`);
    expect(await unit("low")).not.to.contain("install --directory");
  });

  it("keeps the one capability that it needs, if any", async () => {
    expect(await unit("low")).to.contain("\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n");
    expect(await unit("srv")).to.contain("\nCapabilityBoundingSet=\n");
  });

  it("warns of images in /tmp", async () => {
    const { stderr } = await registryctl(["gen-systemd", "-c", "config.yml", "-f", "tmp"], { cwd });
    expect(stderr).to.contain("below /tmp");
    expect((await registryctl(["gen-systemd", "-c", "config.yml", "-f", "srv"], { cwd })).stderr).to.equal("");
  });

  it("refuses names that are none, and root", async () => {
    for (const args of [
      ["--user", "root"],
      ["--user", "a b"],
      ["--name", "../x"],
    ]) {
      expect((await registryctl(["gen-systemd", "-c", "config.yml", "-f", "srv", ...args], { cwd })).code).to.equal(2);
    }
  });

  describe("before systemd itself", () => {
    before(function () {
      needs(this, "systemd-analyze");
    });

    for (const flavor of ["srv", "tmp", "home", "low", "search"]) {
      it(`is right for ${flavor}`, async () => {
        const file = join(cwd, `registry-${flavor}.service`);
        const program = `ExecStart=${execFileSync("sh", ["-c", "command -v true"], { encoding: "utf8" }).trim()}`;
        await writeFile(file, (await unit(flavor)).replace(/^ExecStart=\S+/m, program));
        const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
        expect([status, stdout + stderr]).to.deep.equal([0, ""]);
      });
    }

    it("gives away little", async () => {
      const file = join(cwd, "registry.service");
      await writeFile(file, await unit("srv"));
      const { stdout } = spawnSync("systemd-analyze", ["security", "--offline=true", "--threshold=30", file], {
        encoding: "utf8",
      });
      const level = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1];
      expect(Number(level)).to.be.below(3);
    });

    it("quotes words that systemd would take apart", async () => {
      const odd = join(cwd, `o'd "d %n $x \\`);
      await mkdir(odd);
      await writeFile(join(odd, "config.yml"), await readFile(join(cwd, "config.yml")));
      const text = await succeeds(["gen-systemd", "-c", join(odd, "config.yml"), "-f", "srv"], { cwd });
      expect(text).to.contain(`--config "${cwd}/o'd \\"d %%n $$x \\\\/config.yml"`);
      const file = join(cwd, "odd.service");
      await writeFile(file, text.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
      expect(spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" }).stderr).to.equal("");
    });
  });
});
