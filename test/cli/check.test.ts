import { once } from "node:events";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { expire, selfSigned } from "../support/certificate.ts";
import { registryctl, succeeds } from "../support/cli.ts";
import { command } from "../support/command.ts";
import { needs } from "../support/needs.ts";
import { bin, freePort, Program, removeFolder, temporaryFolder } from "../support/program.ts";

interface Report {
  readonly file: string;
  readonly flavors: readonly {
    readonly flavor?: string;
    readonly problems: readonly { readonly key?: string; readonly line?: number }[];
    readonly warnings: readonly { readonly key?: string }[];
    readonly probes: readonly {
      readonly name: string;
      readonly subject: string;
      readonly ok: boolean;
      readonly detail: string;
    }[];
  }[];
}

describe("registryctl check", () => {
  let cwd: string;
  let port: number;
  beforeEach(async () => {
    cwd = await temporaryFolder();
    port = await freePort();
  });
  afterEach(async () => {
    await removeFolder(cwd);
  });

  /** Checks flavors given as YAML, `dev` unless told otherwise. */
  async function check(yaml: string, ...args: string[]): Promise<{ code: number; report: Report }> {
    await writeFile(join(cwd, "config.yml"), yaml);
    const { code, stdout } = await registryctl(["check", "-c", "config.yml", "--json", ...args], { cwd });
    return { code, report: JSON.parse(stdout) as Report };
  }
  const probe = ({ flavors }: Report, name: string) => flavors[0]?.probes.find((each) => each.name === name);
  const local = (rest = "") => `dev: { storage: local, storage_path: ${cwd}/data, http: { port: ${port} }${rest} }`;

  it("is content with storage that can be made and a free port, and makes nothing", async () => {
    const { code, report } = await check(local());
    expect(code).to.equal(0);
    expect(probe(report, "storage")).to.include({ subject: `${cwd}/data`, ok: true, detail: "will be made" });
    expect(probe(report, "port")).to.include({ subject: `127.0.0.1:${port}`, ok: true, detail: "free" });
    expect(await readdir(cwd)).to.deep.equal(["config.yml"]);
  });

  it("waits for a storage that says nothing for a while, and ends then", async function () {
    this.timeout(60_000);
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port: storage } = silent.address() as AddressInfo;
    const keys = "s3_bucket: images, s3_access_key: key, s3_secret_key: secret, s3_secure: false";
    const place = `boto_host: 127.0.0.1, boto_port: ${storage}, http: { port: ${port} }`;
    await writeFile(join(cwd, "config.yml"), `dev: { storage: s3, ${keys}, ${place} }`);
    const checking = command(process.execPath, [bin, "check", "-c", "config.yml"], { cwd });
    const failure = await checking.catch((error: unknown) => String(error));
    silent.close();
    expect(failure)
      .to.match(/ended with 1:/)
      .and.match(/failed {2}storage s3, .*no answer within 10 s/);
  });

  it("writes a file into storage that is there, and leaves nothing", async () => {
    await mkdir(join(cwd, "data"));
    expect(probe((await check(local())).report, "storage")).to.include({
      ok: true,
      detail: "a file was written and deleted",
    });
    expect(await readdir(join(cwd, "data"))).to.deep.equal([]);
  });

  it("writes an object into storage that is no folder", async () => {
    const { report } = await check(`dev: { storage: memory, http: { port: ${port} } }`);
    expect(probe(report, "storage")).to.include({
      ok: true,
      detail: "it can write, read, read a range, list, copy, write in parts, delete",
    });
  });

  it("fails with 1 when storage is no folder", async () => {
    await writeFile(join(cwd, "data"), "");
    const { code, report } = await check(local());
    expect(code).to.equal(1);
    expect(probe(report, "storage")).to.include({ ok: false });
    expect(probe(report, "storage")?.detail).to.contain("ENOTDIR");
  });

  it("fails when somebody else has the port", async () => {
    const server = createServer((socket) => socket.end("hello")).listen(port, "127.0.0.1");
    await once(server, "listening");
    try {
      const { code, report } = await check(local());
      expect(code).to.equal(1);
      expect(probe(report, "port")?.detail).to.contain("EADDRINUSE");
    } finally {
      server.close();
    }
  });

  it("finds every mistake of every flavor, and ends with 3", async () => {
    const yaml =
      "a:\n  storage: local\n  storage_pat: x\n  loglevel: loud\nb:\n  storage: memory\nc:\n  storage: tape\n";
    const { code, report } = await check(yaml, "--all", "--no-probe");
    expect(code).to.equal(3);
    expect(report.flavors.map(({ flavor, problems }) => [flavor, problems.map(({ key }) => key)])).to.deep.equal([
      ["a", ["storage_pat", "loglevel"]],
      ["b", []],
      ["c", ["storage"]],
    ]);
    const text = await registryctl(["check", "-c", "config.yml", "--all", "--no-probe"], { cwd });
    expect(text.code).to.equal(3);
    expect(text.stdout).to.contain(`ok  ${cwd}/config.yml, flavor b\n`).and.contain("config.yml:3");
    expect(text.stderr).to.equal("\n1 of 3 can be served. With mistakes: a, c.\n");
  });

  it("says what to do about everything that fails", async () => {
    await writeFile(join(cwd, "data"), "");
    await writeFile(join(cwd, "config.yml"), local(", privileged_key: none.pem"));
    const { code, stdout } = await registryctl(["check", "-c", "config.yml"], { cwd });
    expect(code).to.equal(1);
    expect(stdout).to.contain(`failed  storage ${cwd}/data: no file can be written: ENOTDIR: not a directory`);
    expect(stdout).to.match(/failed {2}privileged_key .*none\.pem: can't be read: ENOENT.*\n {2}Name a public key/);
  });

  it("ends with 3 for a file that is none, and a flavor that is not there", async () => {
    const missing = await registryctl(["check", "-c", "none.yml"], { cwd });
    expect(missing.code).to.equal(3);
    expect(missing.stdout).to.contain("none.yml").and.contain("--config");
    expect((await check(local(), "-f", "nope")).code).to.equal(3);
    expect((await check("{{{")).code).to.equal(3);
  });

  it("warns of mail options in the wrong place", async () => {
    const { code, report } = await check(local(", smtp_host: mail, from_addr: a@b, to_addr: c@d"), "--no-probe");
    expect(code).to.equal(0);
    expect(report.flavors[0]?.warnings.map(({ key }) => key)).to.include("smtp_host");
  });

  it("looks whether mail, Redis and PostgreSQL answer", async () => {
    const dead = await freePort();
    const greeter = createServer((socket) => socket.end("220 hello\r\n")).listen(0, "127.0.0.1");
    await once(greeter, "listening");
    const mail = (at: number) =>
      `, email_exceptions: { smtp_host: 127.0.0.1, smtp_port: ${at}, from_addr: a@b, to_addr: c@d }`;
    try {
      const greets = await check(local(mail((greeter.address() as AddressInfo).port)));
      expect(probe(greets.report, "mail")).to.include({ ok: true, detail: "greets" });
      const silent = await check(
        local(
          `${mail(dead)}, cache_lru: { host: 127.0.0.1, port: ${dead} }, search_backend: database, ` +
            `sqlalchemy_index_database: "postgresql://me:sesame@127.0.0.1:${dead}/x"`,
        ),
      );
      expect(silent.code).to.equal(1);
      for (const name of ["mail", "cache_lru", "search"])
        expect(probe(silent.report, name), name).to.include({ ok: false });
      expect(JSON.stringify(silent.report)).not.to.contain("sesame");
    } finally {
      greeter.close();
    }
  });

  it("is content with a Redis that answers", async function () {
    const [redis = ""] = needs(this, "redis-server");
    const at = await freePort();
    const server = await new Program(redis, [
      "--port",
      String(at),
      "--bind",
      "127.0.0.1",
      "--save",
      "",
      "--dir",
      cwd,
    ]).ready("Redis", async () => {
      const { report } = await check(local(`, cache_lru: { host: 127.0.0.1, port: ${at} }`));
      return probe(report, "cache_lru")?.ok;
    });
    await server.stop();
  });

  describe("of keys", () => {
    before(function () {
      needs(this, "openssl");
    });

    it("reads the privileged key", async () => {
      await succeeds(["keygen", "key", "--bits", "2048"], { cwd });
      const { report } = await check(local(", privileged_key: key.pub.pem"));
      expect(probe(report, "privileged_key")).to.include({ ok: true, detail: "RSA, 2048 bits" });
      await writeFile(join(cwd, "key.pub.pem"), "nothing");
      expect((await check(local(", privileged_key: key.pub.pem"))).code).to.equal(1);
    });

    it("says of a key that it has a passphrase, or is none", async () => {
      await selfSigned(cwd, "good");
      await writeFile(join(cwd, "locked.key"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
      await writeFile(join(cwd, "none.key"), "nothing");
      for (const [key, says] of [
        ["locked.key", "needs a passphrase"],
        ["none.key", "holds no private key"],
      ] as const) {
        const http = `http: { port: ${port}, tls: { certificate: good.crt, key: ${key} } }`;
        const { report } = await check(`dev: { storage: local, storage_path: ${cwd}/data, ${http} }`);
        expect(probe(report, "tls")?.detail).to.contain(`http.tls.key: ${cwd}/${key} ${says}`);
      }
    });

    it("wants a certificate and its own key, not expired", async () => {
      await selfSigned(cwd, "good");
      await selfSigned(cwd, "other");
      await expire(await selfSigned(cwd, "old"));
      const tls = async (certificate: string, key: string) => {
        const http = `http: { port: ${port}, tls: { certificate: ${certificate}, key: ${key} } }`;
        const { report } = await check(`dev: { storage: local, storage_path: ${cwd}/data, ${http} }`);
        return probe(report, "tls");
      };
      expect(await tls("good.crt", "good.key")).to.include({ ok: true });
      expect((await tls("good.crt", "other.key"))?.detail).to.contain("is not the key of");
      expect((await tls("old.crt", "old.key"))?.detail).to.contain("expired");
      expect((await tls("none.crt", "good.key"))?.detail).to.contain("ENOENT");
    });
  });
});
