import { access, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { questions } from "../../src/cli/init-questions.ts";
import { load } from "../../src/server/config/load.ts";
import { registryctl, succeeds } from "../support/cli.ts";
import { needs } from "../support/needs.ts";
import { bin, removeFolder, temporaryFolder } from "../support/program.ts";
import { TerminalSession } from "../support/terminal.ts";

describe("registryctl init", () => {
  let cwd: string;
  beforeEach(async () => {
    cwd = await temporaryFolder();
  });
  afterEach(async () => {
    await removeFolder(cwd);
  });
  const settings = async (configFile = "config/config.yml", flavor = "prod") => {
    const loaded = await load({ cwd, env: {}, configFile, flavor });
    expect(loaded.warnings).to.deep.equal([]);
    return loaded.settings;
  };

  it("with --yes writes a configuration that is complete, explained and no longer than it must be", async () => {
    const stdout = await succeeds(["init", "--yes"], { cwd });
    expect(stdout.split("\n")).to.deep.equal([
      "node registryctl check --flavor prod",
      "node registryctl serve --flavor prod",
      "",
    ]);
    const text = await readFile(join(cwd, "config/config.yml"), "utf8");
    expect(text.match(/^ *[a-z_]+:/gm)?.map((key) => key.trim())).to.deep.equal([
      ...[
        "prod:",
        "storage:",
        "storage_path:",
        "http:",
        "host:",
        "port:",
        "search_backend:",
        "sqlalchemy_index_database:",
      ],
    ]);
    expect(text).to.match(/^ {2}# .+\n {2}storage_path: /m);
    expect(await settings()).to.deep.include({
      storage: "local",
      storage_path: join(cwd, "data"),
      search_backend: "database",
      sqlalchemy_index_database: `sqlite:///${cwd}/data/search.db`,
    });
    expect(await readdir(join(cwd, "config"))).to.deep.equal(["config.yml"]);
    expect((await stat(join(cwd, "config/config.yml"))).mode & 0o777).to.equal(0o644);
  });

  it("takes every answer from a flag", async () => {
    await writeFile(join(cwd, "password"), "open sesame\n");
    const flags = [
      ...["--flavor", "own", "--storage", "local", "--storage-path", "images", "--host", "0.0.0.0", "--port", "5001"],
      ...["--trusted-proxies", "10.0.0.0/8, ::1", "--offload", "nginx", "--public-url", "https://r.example.com"],
      ...["--no-standalone", "--index-endpoint", "https://index.example.com", "--privileged-key", "key.pub.pem"],
      ...[
        "--search",
        "database",
        "--database",
        "postgresql://me:secret@db/registry",
        "--redis",
        "redis://:p%40ss@redis:6380/2",
      ],
      ...[
        "--mail",
        "smtps://user@mail.example.com",
        "--mail-password-file",
        "password",
        "--mail-to",
        "a@b",
        "--mail-from",
        "c@d",
      ],
      ...["--loglevel", "warn", "--workers", "auto"],
    ];
    const stdout = await succeeds(["init", "own.yml", ...flags], { cwd });
    expect(stdout).to.contain("node registryctl gen-nginx --flavor own --config own.yml\n");
    const own = await settings("own.yml", "own");
    expect(own).to.deep.include({
      storage_path: join(cwd, "images"),
      nginx_x_accel_redirect: "/internal",
      apache_x_sendfile: false,
      public_url: "https://r.example.com",
      standalone: false,
      index_endpoint: "https://index.example.com",
      privileged_key: join(cwd, "key.pub.pem"),
      sqlalchemy_index_database: "postgresql://me:secret@db/registry",
      loglevel: "warn",
      workers: "auto",
      cache_lru: { host: "redis", port: 6380, db: 2, password: "p@ss" },
    });
    expect(own.http).to.deep.include({ host: "0.0.0.0", port: 5001, trusted_proxies: ["10.0.0.0/8", "::1"] });
    expect(own.email_exceptions).to.deep.include({
      ...{ smtp_host: "mail.example.com", smtp_port: 465, smtp_login: "user", smtp_password: "open sesame" },
      ...{ smtp_secure: true, to_addr: "a@b", from_addr: "c@d" },
    });
    expect((await stat(join(cwd, "own.yml"))).mode & 0o777).to.equal(0o600);
  });

  for (const [flags, database] of [
    [["--storage-path", "images"], "sqlite:///CWD/images/search.db"],
    [["--storage-path", "/srv/images"], "sqlite:////srv/images/search.db"],
    [["--storage-path", "~/images"], "sqlite:///CWD/search.db"],
    [["--storage", "memory"], "sqlite://"],
    [["--database", "sqlite:///index.db"], "sqlite:///CWD/index.db"],
  ] as const) {
    it(`keeps the search index in ${database} for ${flags.join(" ")}`, async () => {
      await succeeds(["init", "--yes", ...flags], { cwd });
      expect((await settings()).sqlalchemy_index_database).to.equal(database.replace("CWD", cwd));
    });
  }

  it("proposes the machine's place for data to a configuration of the machine", () => {
    const proposed = (file: string): readonly unknown[] => {
      const answers = new Map<string, string | boolean>([["storage", "local"]]);
      return questions("/root", file).map((question) =>
        question.kind === "text" && /^(storagePath|database)$/.test(question.name) ? question.initial(answers) : "",
      );
    };
    expect(proposed("/etc/registryctl/config.yml")).to.include.members([
      "/var/lib/registryctl/storage",
      "sqlite:////var/lib/registryctl/search.db",
    ]);
    expect(proposed("/root/config/config.yml")).to.include("/root/data");
  });

  it("says where data goes", async () => {
    const { stderr } = await registryctl(["init", "--yes"], { cwd });
    expect(stderr).to.equal(
      `wrote ${cwd}/config/config.yml\nimages go to ${cwd}/data\nthe search index goes to ${cwd}/data/search.db\n\nNext:\n`,
    );
  });

  it("says which file it could not write or read", async () => {
    await writeFile(join(cwd, "file"), "");
    const written = await registryctl(["keygen", "file/key", "--bits", "2048"], { cwd });
    expect(written.stderr).to.equal(
      `error: cannot write ${cwd}/file/key.pem: ENOTDIR: not a directory, open '${cwd}/file/key.pem'\n`,
    );
    const read = await registryctl(["init", "--yes", "--mail-password-file", "none"], { cwd });
    expect(read.stderr).to.contain(`--mail-password-file ${cwd}/none cannot be read: ENOENT`);
  });

  it("writes what loads, whatever is chosen", async () => {
    const choices = [
      [
        ["--storage", "local"],
        ["--storage", "memory"],
      ],
      [
        [],
        ["--tls-certificate", "c", "--tls-key", "k"],
        ["--behind-proxy"],
        ["--offload", "apache", "--storage", "local"],
      ],
      [[], ["--no-standalone"]],
      [
        ["--search", "none"],
        ["--database", "sqlite:///x.db"],
      ],
      [[], ["--redis", "redis://[::1]", "--mail", "smtp://mail", "--workers", "1"]],
      [
        ["--storage-path", `it's "odd": {#} \\ é`],
        ["--storage-path", "_env:WHERE:/srv"],
      ],
    ];
    let all: string[][] = [[]];
    for (const options of choices) all = all.flatMap((args) => options.map((option) => [...args, ...option]));
    for (const args of all) {
      await succeeds(["init", "x.yml", "--yes", "--force", ...args], { cwd });
      const { code, stdout } = await registryctl(["check", "-c", "x.yml", "-f", "prod", "--no-probe"], { cwd });
      expect([code, stdout.split("\n")[1]], args.join(" ")).to.deep.equal([0, ""]);
    }
    expect(all).to.have.length(128);
  });

  for (const [flags, env, expected] of [
    [["--storage", "s3", "--bucket", "images"], {}, { s3_bucket: "images", s3_encrypt: true, s3_secure: true }],
    [
      ["--storage", "s3", "--bucket", "images", "--s3-url", "http://ceph.test:7480", "--storage-path", "/team"],
      { AWS_KEY: "key", AWS_SECRET: "secret" },
      { storage_path: "/team", boto_host: "ceph.test", boto_port: 7480, s3_secure: false, s3_encrypt: false, s3_access_key: "key", s3_secret_key: "secret" }, // prettier-ignore
    ],
    [
      ["--storage", "gcs", "--bucket", "images"],
      { GCS_KEY: "key", GCS_SECRET: "secret" },
      { boto_bucket: "images", oauth2: false, gs_access_key: "key", gs_secret_key: "secret" },
    ],
    [
      ["--storage", "gcs", "--bucket", "images", "--gcs-key-file", "/key.json"],
      {},
      { boto_bucket: "images", oauth2: true, gs_service_key_file: "/key.json" },
    ],
    [
      ["--storage", "swift", "--swift-url", "https://keystone.test:5000/v3", "--swift-user", "me"],
      { OS_PASSWORD: "secret" },
      { swift_container: "registry", swift_user: "me", swift_password: "secret", storage_path: "/registry" },
    ],
  ] as const) {
    it(`keeps images elsewhere with ${flags.join(" ")}, and no secret in the file`, async () => {
      const { code, stderr } = await registryctl(["init", "--yes", ...flags], { cwd });
      expect(code, stderr).to.equal(0);
      const variables = Object.keys(env);
      expect(stderr).to.match(/^images go to the (bucket images|container registry)$/m);
      if (variables.length > 0) expect(stderr).to.contain(`secrets are read from ${variables.join(" and ")}`);
      const loaded = await load({ cwd, env, configFile: "config/config.yml", flavor: "prod" });
      expect(loaded.warnings).to.deep.equal([]);
      expect(loaded.settings).to.deep.include(expected);
      expect(await readFile(join(cwd, "config/config.yml"), "utf8")).not.to.match(/: "?secret"?$/m);
    });
  }

  it("names the answers that have no default", async () => {
    for (const [storage, lacks] of [
      ["s3", "--bucket"],
      ["swift", "--swift-url, --swift-user"],
    ] as const) {
      const { code, stderr } = await registryctl(["init", "--yes", "--storage", storage], { cwd });
      expect(code).to.equal(2);
      expect(stderr).to.contain(`there is no default for ${lacks}`);
    }
    expect(await readdir(cwd)).to.deep.equal([]);
  });

  it("asks nothing without a terminal, and names the flags that are missing", async () => {
    const { code, stderr } = await registryctl(["init", "--storage", "local", "--port", "5000"], { cwd });
    expect(code).to.equal(2);
    expect(stderr).to.contain("--storage-path").and.contain("--behind-proxy or --no-behind-proxy").and.contain("--yes");
    expect(stderr).not.to.contain("--port");
    expect(await readdir(cwd)).to.deep.equal([]);
  });

  it("never replaces a file, unless forced", async () => {
    await writeFile(join(cwd, "own.yml"), "mine");
    const { code, stderr } = await registryctl(["init", "own.yml", "--yes"], { cwd });
    expect(code).to.equal(1);
    expect(stderr).to.contain(`${join(cwd, "own.yml")} exists; --force replaces it`);
    expect(await readFile(join(cwd, "own.yml"), "utf8")).to.equal("mine");
    await succeeds(["init", "own.yml", "--yes", "--force"], { cwd });
    expect(await readdir(cwd)).to.deep.equal(["own.yml"]);
    await settings("own.yml");
  });

  for (const args of [
    ["--port", "65536"],
    ["--workers", "0"],
    ["--trusted-proxies", "everywhere"],
    ["--public-url", "registry"],
    ["--database", "mysql://x"],
    ["--redis", "localhost:6379"],
    ["--mail", "mail.example.com"],
    ["--storage", "tape"],
    ["--flavor", "common"],
    ["--index-endpoint", "x"],
  ]) {
    it(`refuses ${args.join(" ")}`, async () => {
      const { code, stderr } = await registryctl(["init", "--yes", ...args], { cwd });
      expect(code).to.equal(2);
      expect(stderr).to.contain(args[0]);
      expect(await readdir(cwd)).to.deep.equal([]);
    });
  }

  describe("in a real terminal", function () {
    this.timeout(180_000);
    let session: TerminalSession | undefined;
    before(function () {
      needs(this, "tmux");
    });
    afterEach(async () => {
      await session?.close();
      session = undefined;
    });
    const start = async (...args: string[]) => {
      const words = [process.execPath, bin, "init", ...args];
      session = await TerminalSession.start(cwd, words.map((word) => `'${word}'`).join(" "));
      return session;
    };

    it("asks what was not said, shows defaults and says what is wrong with an answer", async () => {
      const wizard = await start("--loglevel", "warn");
      await wizard.shows("Where are images kept?");
      await wizard.press("Enter");
      await wizard.shows("In which folder?");
      await wizard.press("C-u", "images", "Enter");
      await wizard.shows("On which address does it listen?");
      await wizard.press("Enter");
      await wizard.shows("On which port?");
      await wizard.press("C-u", "70000", "Enter");
      await wizard.shows("give a number from 0 to 65535");
      await wizard.press("C-u", "5001", "Enter");
      await wizard.shows("in front of it?");
      await wizard.press("y", "Enter");
      await wizard.shows("From which addresses does that come?");
      await wizard.press("Enter");
      await wizard.shows("send layers from the storage folder by itself?");
      await wizard.press("Down", "Enter");
      await wizard.shows("Under which URL do clients reach it?");
      await wizard.press("Enter");
      await wizard.shows("without an index server");
      await wizard.press("Enter");
      await wizard.shows("Which public key");
      await wizard.press("Enter");
      await wizard.shows("What answers `docker search`?");
      await wizard.press("Enter");
      await wizard.shows("Which database?");
      await wizard.press("Enter");
      await wizard.shows("Which Redis");
      await wizard.press("Enter");
      await wizard.shows("Which mail server");
      await wizard.press("smtp://me@mail.example.com", "Enter");
      await wizard.shows("What is that user's password?");
      await wizard.press("sesame", "Enter");
      await wizard.shows("Who gets the mails?");
      await wizard.press("Enter");
      await wizard.shows("Who sends them?");
      await wizard.press("Enter");
      await wizard.shows("How many processes");
      await wizard.press("2", "Enter");
      const screen = await wizard.shows("[exit 0]");
      expect(screen).to.contain("gen-nginx --flavor prod");
      expect(screen).not.to.contain("sesame");
      const chosen = await settings();
      expect(chosen).to.deep.include({
        storage_path: join(cwd, "images"),
        nginx_x_accel_redirect: "/internal",
        loglevel: "warn",
      });
      expect(chosen.http).to.deep.include({ port: 5001, trusted_proxies: ["127.0.0.1", "::1"] });
      expect(chosen.email_exceptions).to.deep.include({ smtp_login: "me", smtp_password: "sesame" });
      expect((await stat(join(cwd, "config/config.yml"))).mode & 0o777).to.equal(0o600);
    });

    it("asks for the bucket of an object store", async () => {
      const wizard = await start("--host", "127.0.0.1", "--port", "5001", "--no-behind-proxy", "--no-tls", "--standalone", "--privileged-key", "", "--search", "none", "--redis", "", "--mail", "", "--loglevel", "info", "--workers", "1"); // prettier-ignore
      await wizard.shows("Where are images kept?");
      await wizard.press("Down", "Down", "Enter");
      await wizard.shows("Which bucket?");
      await wizard.press("Enter");
      await wizard.shows("name a bucket");
      await wizard.press("images", "Enter");
      await wizard.shows("Which file has a service account's key?");
      await wizard.press("Enter");
      expect(await wizard.shows("[exit 0]")).to.contain("secrets are read from GCS_KEY and GCS_SECRET");
      expect(await settings()).to.deep.include({ storage: "gcs", boto_bucket: "images" });
    });

    it("leaves nothing when it is interrupted", async () => {
      const wizard = await start();
      await wizard.shows("Where are images kept?");
      await wizard.press("Enter");
      await wizard.shows("In which folder?");
      await wizard.press("C-c");
      await wizard.shows("[exit 130]");
      const left = await access(join(cwd, "config")).then(
        () => true,
        () => false,
      );
      expect(left).to.be.false;
    });
  });
});
