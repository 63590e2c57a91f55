import { execFileSync } from "node:child_process";
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl, succeeds } from "../support/cli.ts";
import { needs } from "../support/needs.ts";
import { bin, removeFolder, temporaryFolder } from "../support/program.ts";
import { TerminalSession } from "../support/terminal.ts";

const ann = "ann:$2y$10$Zm8n1T7gWcB0k2eR5tYuIuV9qLx3yNhJpKdS4fA6sDfGhJkL1zXcV";
const bob = "bob:$apr1$QsBbLAKl$EWCaQlkCqPDf7pdgzAPCR1";

describe("registryctl user", function () {
  this.timeout(180_000);
  let cwd: string;
  beforeEach(async () => {
    cwd = await temporaryFolder();
    await configure({ htpasswd: "users", groups: { dev: ["ann", "bob"], ops: "ann" } });
  });
  afterEach(async () => {
    await removeFolder(cwd);
  });
  const configure = async (auth: object | undefined): Promise<void> => {
    const flavor = { storage: "local", storage_path: join(cwd, "store"), ...(auth && { auth }) };
    await mkdir(join(cwd, "config"), { recursive: true });
    await writeFile(join(cwd, "config/config.yml"), JSON.stringify({ dev: flavor }));
  };
  const users = async (): Promise<string> => await readFile(join(cwd, "config/users"), "utf8");
  const write = async (text: string): Promise<void> => {
    await writeFile(join(cwd, "config/users"), text);
  };
  const add = async (name: string, password: string | Uint8Array, ...args: readonly string[]) =>
    await registryctl(["user", "add", name, "--password-stdin", "--cost", "10", ...args], { cwd, input: password });

  it("adds accounts to a file that is its owner's alone, and lists them", async () => {
    const { code, stdout, stderr } = await add("ann", "open sesame\n");
    expect([code, stdout, stderr]).to.deep.equal([0, `added ann to ${join(cwd, "config/users")}\n`, ""]);
    await add("carl", "open sesame\r\nanother line\n");
    expect(await users()).to.match(/^ann:\$2y\$10\$.{53}\ncarl:\$2y\$10\$.{53}\n$/);
    expect((await stat(join(cwd, "config/users"))).mode & 0o777).to.equal(0o600);
    expect(await readdir(join(cwd, "config"))).to.have.members(["config.yml", "users"]);
    const lines = (await succeeds(["user", "ls"], { cwd })).split("\n");
    expect(lines.map((line) => line.split(/ {2,}/))).to.deep.equal([
      ...[["USER", "PASSWORD", "GROUPS"], ["ann", "bcrypt", "dev, ops"], ["carl", "bcrypt"], [""]],
    ]);
    // No one has asked for a storage.
    expect(await readdir(cwd)).to.deep.equal(["config"]);
  });

  it("keeps everything else that is in the file, its rights, and where a link leads", async () => {
    const text = `# ours\n\n${bob}:Robert\nwhat is this\n${ann}`;
    await mkdir(join(cwd, "elsewhere"));
    await writeFile(join(cwd, "elsewhere/passwords"), text);
    await chmod(join(cwd, "elsewhere/passwords"), 0o640);
    await symlink("../elsewhere/passwords", join(cwd, "config/users"));
    expect((await add("carl", "open sesame")).code).to.equal(0);
    expect(await users())
      .to.match(/\n/)
      .and.satisfy((now: string) => now.startsWith(`${text}\ncarl:$2y$10$`));
    await succeeds(["user", "passwd", "bob", "--password-stdin", "--cost", "10"], { cwd, input: "new password" });
    expect(await users()).to.match(/\nbob:\$2y\$10\$.{53}:Robert\n/);
    await succeeds(["user", "rm", "carl", "--yes"], { cwd });
    expect((await users()).replace(/bob:[^:]*:/, `${bob}:`)).to.equal(`${text}\n`);
    expect((await stat(join(cwd, "elsewhere/passwords"))).mode & 0o777).to.equal(0o640);
    expect(await readdir(join(cwd, "elsewhere"))).to.deep.equal(["passwords"]);
  });

  it("loses nothing when several add accounts at once", async () => {
    const names = Array.from({ length: 6 }, (_, i) => `user${i}`);
    const outcomes = await Promise.all(names.map(async (name) => await add(name, "open sesame")));
    expect(outcomes.map(({ code }) => code)).to.deep.equal(names.map(() => 0));
    const text = await users();
    expect(text.split("\n").map((line) => line.split(":")[0])).to.have.members([...names, ""]);
  });

  it("adds an account once when several do", async () => {
    const outcomes = await Promise.all([1, 2, 3].map(async () => await add("ann", "open sesame")));
    expect(outcomes.map(({ code }) => code).sort()).to.deep.equal([0, 1, 1]);
    expect((await users()).match(/ann/g)).to.have.length(1);
  });

  for (const [what, name, password, code, says] of [
    ["a name that files can't have", "a:b", "open sesame", 2, "begins with a letter or digit"],
    ["a name that rules have for others", "anonymous", "open sesame", 2, "rules call"],
    ["a short password", "carl", "sesame", 2, "at least 8 characters"],
    ["no password", "carl", "", 2, "at least 8 characters"],
    ["a password longer than bcrypt sees", "carl", "é".repeat(37), 2, "at most 72 bytes, and this one has 74"],
    ["a password with control characters", "carl", "open\tsesame", 2, "control characters"],
    ["an account that there is", "ann", "open sesame", 1, "there is an account ann"],
    ["an account whose line can't be read", "eve", "open sesame", 1, "there is an account eve"],
  ] as const) {
    it(`refuses to add ${what}`, async () => {
      await write(`${ann}\neve:plain\n`);
      const outcome = await add(name, password);
      expect([outcome.code, outcome.stdout]).to.deep.equal([code, ""]);
      expect(outcome.stderr).to.contain(says);
      expect(await users()).to.equal(`${ann}\neve:plain\n`);
    });
  }

  it("changes and removes none but accounts that there are", async () => {
    await write(`${ann}\n`);
    const passwd = await registryctl(["user", "passwd", "eve", "--password-stdin"], { cwd, input: "open sesame" });
    const rm = await registryctl(["user", "rm", "eve", "--yes"], { cwd });
    for (const { code, stderr } of [passwd, rm]) {
      expect(code).to.equal(1);
      expect(stderr).to.contain("there is no account eve");
    }
    const unasked = await registryctl(["user", "rm", "ann"], { cwd });
    expect(unasked.code).to.equal(2);
    expect(unasked.stderr).to.contain("--yes removes ann");
    expect(await users()).to.equal(`${ann}\n`);
  });

  it("asks nobody where there is no terminal", async () => {
    const { code, stderr } = await registryctl(["user", "add", "ann"], { cwd });
    expect(code).to.equal(2);
    expect(stderr).to.contain("--password-stdin");
  });

  it("says which option a flavor without accounts lacks", async () => {
    await configure(undefined);
    for (const args of [["ls"], ["rm", "ann", "--yes"], ["token", "ls"]]) {
      const { code, stderr } = await registryctl(["user", ...args], { cwd });
      expect(code, args[0]).to.equal(3);
      expect(stderr).to.contain("flavor dev has no option auth.htpasswd");
    }
  });

  it("tells in JSON how passwords are hashed, and which lines can't be read", async () => {
    await write(`${ann}\n${bob}\n${ann}\neve:plain\n`);
    const { stdout, stderr } = await registryctl(["user", "ls", "--json"], { cwd });
    expect(stderr).to.equal("");
    const listed = JSON.parse(stdout) as Record<string, unknown>;
    expect(listed["users"]).to.deep.equal([
      { name: "ann", scheme: "bcrypt", groups: ["dev", "ops"] },
      { name: "bob", scheme: "apr1", weak: "MD5 (apr1)", groups: ["dev"] },
    ]);
    expect(listed["repeated"]).to.deep.equal(["ann"]);
    expect(listed["faults"]).to.have.nested.property("0.line", 4);
    const shown = await registryctl(["user", "ls"], { cwd });
    expect(shown.stdout).to.match(/bob +weak: MD5 \(apr1\) +dev/);
    expect(shown.stderr).to.contain("line 4").and.contain("ann, only the first line").and.not.contain("plain");
  });

  it("says why a file was not changed", async () => {
    await mkdir(join(cwd, "config/users"));
    const { code, stderr } = await registryctl(["user", "rm", "ann", "--yes"], { cwd });
    expect(code).to.equal(1);
    expect(stderr)
      .to.contain(`${join(cwd, "config/users")} was not changed`)
      .and.contain("EISDIR");
  });

  describe("seen by registryctl check", () => {
    const probe = async () => {
      const { stdout } = await registryctl(["check"], { cwd });
      const lines = stdout.split("\n");
      const index = lines.findIndex((line) => / accounts /.test(line));
      return { stdout, lines: lines.slice(index, index + 3) };
    };

    it("are fine when their hashes are", async () => {
      await add("ann", "open sesame");
      expect((await probe()).lines[0]).to.equal(`ok  accounts ${join(cwd, "config/users")}: 1 account`);
    });

    it("are warned of when they have weak hashes", async () => {
      await write(`${ann}\n${bob}\nsue:{SHA}ZP3rbRcrbmduZRGkzG2Nm6ZUH08=\n${bob}\n`);
      const [first, second, third] = (await probe()).lines;
      expect(first).to.contain("3 accounts");
      expect(second)
        .to.match(/^warning {2}accounts /)
        .and.contain("bob (MD5 (apr1)), sue (SHA-1 without salt)")
        .and.contain("don't count: bob")
        .and.contain("everybody on this machine can read it")
        .and.not.contain("ann");
      expect(third).to.contain("registryctl user passwd").and.contain("chmod o-r");
    });

    it("have an audit log that can be written to", async () => {
      await add("ann", "open sesame");
      for (const [folder, line] of [
        [cwd, /^ok {2}audit log .*audit.log: can be written to$/m],
        [join(cwd, "missing"), /^failed {2}audit log .*: ENOENT/m],
      ] as const) {
        await configure({ htpasswd: "users", audit_log: join(folder, "audit.log") });
        expect((await probe()).stdout).to.match(line);
      }
    });

    for (const [auth, code] of [
      [{}, 3],
      [undefined, 0],
      [{ htpasswd: "_env:NOT_SET" }, 3],
      [{ htpasswd: "" }, 3],
      [{ token: { realm: "_env:NOT_SET" } }, 3],
      [{ htpasswd: "_env:REGISTRY_AUTH_HTPASSWD", signup: "_env:REGISTRY_AUTH_SIGNUP" }, 0],
    ] as const) {
      it(`are ${code === 0 ? "not asked for" : "missed"} with auth: ${JSON.stringify(auth)}`, async () => {
        await configure(auth);
        const outcome = await registryctl(["check", "--no-probe"], { cwd });
        expect(outcome.code).to.equal(code);
        expect(outcome.stdout.includes("would be open to all")).to.equal(code !== 0);
      });
    }

    it("fail with the line that can't be read, or without a file", async () => {
      expect((await probe()).lines[0]).to.match(/^failed .*ENOENT/);
      await write(`${ann}\nnonsense\n`);
      expect((await probe()).lines[0]).to.match(/^failed .*line 2 is not of the form name:hash/);
    });
  });

  describe("beside Apache's htpasswd", () => {
    before(function () {
      needs(this, "htpasswd");
    });

    it("shares a file with it", async () => {
      const file = join(cwd, "config/users");
      const htpasswd = (args: readonly string[], input: string): void => {
        execFileSync("htpasswd", [...args], { input, stdio: ["pipe", "pipe", "pipe"] });
      };
      await add("ann", "open sesame");
      htpasswd(["-vi", file, "ann"], "open sesame");
      htpasswd(["-iB", file, "bob"], "bobs password");
      await succeeds(["user", "passwd", "bob", "--password-stdin", "--cost", "10"], { cwd, input: "new password" });
      htpasswd(["-vi", file, "bob"], "new password");
      expect(() => {
        htpasswd(["-vi", file, "bob"], "bobs password");
      }).to.throw();
      htpasswd(["-iD", file, "ann"], "");
      expect(await succeeds(["user", "ls"], { cwd })).to.match(/^USER.*\nbob +bcrypt/);
    });
  });

  describe("at a terminal", () => {
    let session: TerminalSession;
    before(function () {
      needs(this, "tmux");
    });
    afterEach(async () => {
      await session.close();
    });

    it("asks for the password twice and never shows it", async () => {
      session = await TerminalSession.start(cwd, `node ${bin} user add ann --cost 10`);
      await session.shows("Password for ann");
      await session.press("open sesame", "Enter");
      await session.shows("The same again");
      await session.press("open sesame", "Enter");
      const screen = await session.shows("[exit 0]");
      expect(screen).to.contain("added ann").and.not.contain("sesame");
      expect(await users()).to.match(/^ann:\$2y\$10\$/);
    });

    it("changes nothing when the two differ", async () => {
      session = await TerminalSession.start(cwd, `node ${bin} user add ann`);
      await session.shows("Password for ann");
      await session.press("open sesame", "Enter");
      await session.shows("The same again");
      await session.press("open sesam", "Enter");
      expect(await session.shows("[exit 1]")).to.contain("the passwords differ; nothing was changed");
      expect(await readdir(join(cwd, "config"))).to.deep.equal(["config.yml"]);
    });
  });
});
