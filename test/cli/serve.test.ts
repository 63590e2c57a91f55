import { spawnSync } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { accountOf } from "../support/account.ts";
import { selfSigned } from "../support/certificate.ts";
import { registryctl, succeeds } from "../support/cli.ts";
import { needs } from "../support/needs.ts";
import { bin, freePort, Program, removeFolder, temporaryFolder } from "../support/program.ts";
import { TerminalSession } from "../support/terminal.ts";
import { V1Client } from "../support/v1-client.ts";

describe("registryctl serve", function () {
  this.timeout(180_000);
  let cwd: string;
  beforeEach(async () => {
    cwd = await temporaryFolder();
    await writeFile(
      join(cwd, "config.yml"),
      `common: { storage: local, storage_path: ${cwd}/data }\ndev: { http: { port: 1 } }\nprod: { smtp_host: x, from_addr: a@b, to_addr: c@d }\n`,
    );
  });
  afterEach(async () => {
    await removeFolder(cwd);
  });
  const start = (...args: string[]) =>
    new Program(process.execPath, [bin, "serve", "-c", "config.yml", ...args], { cwd });

  it("lets host and port be told beside the configuration, and logs JSON where nobody looks", async () => {
    const port = await freePort();
    const client = new V1Client(`http://localhost:${port}`);
    const server = start("--host", "localhost", "--port", String(port));
    await server.ready("the registry", async () => (await client.send("GET", "/v1/_ping")).status === 200);
    expect(await server.stop("SIGTERM")).to.equal(0);
    const lines = server.output.trim().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).not.to.include("error");
    expect(server.output).to.match(/"url":"http:[^"]+"/);
  });

  it("says at the start that storage can only be read", async function () {
    if (process.getuid?.() !== 0) this.skip();
    const { uid, gid } = await accountOf("nobody");
    const reading = ["-e", `require("fs").accessSync(${JSON.stringify(bin)})`];
    if (spawnSync(process.execPath, reading, { cwd: "/", uid, gid }).status !== 0) this.skip();
    await mkdir(join(cwd, "data"));
    await chmod(cwd, 0o755);
    const args = [bin, "serve", "-c", "config.yml", "--port", "0"];
    const server = new Program(process.execPath, args, { cwd, uid, gid });
    await server.ready("the registry", () => server.output.includes("listening on"));
    expect(await server.stop("SIGTERM")).to.equal(0);
    expect(server.output).to.match(/"warn".*storage_path .*\/data: pushes will fail: EACCES.*storage_path\."/);
  });

  it("says once what the configuration is warned of, with several workers too", async () => {
    const server = start("--flavor", "prod", "--port", "0", "--workers", "2");
    await server.ready("the registry", () => (server.output.match(/listening on/g)?.length ?? 0) === 2);
    expect(await server.stop("SIGINT")).to.equal(0);
    const warnings = server.output.match(/^warning: .*/gm) ?? [];
    expect(warnings.map((line) => /\w+_\w+(?=: )/.exec(line)?.[0])).to.have.members([
      "smtp_host",
      "from_addr",
      "to_addr",
    ]);
  });

  it("ends with 3 when the configuration is not valid, 2 when it is called wrongly", async () => {
    expect((await registryctl(["serve", "-c", "config.yml", "-f", "none"], { cwd })).code).to.equal(3);
    expect((await registryctl(["serve", "-c", "config.yml", "--port", "x"], { cwd })).code).to.equal(2);
  });

  it("is told by check to be running, over HTTPS too", async function () {
    needs(this, "openssl");
    const { certificate, key } = await selfSigned(cwd);
    const port = await freePort();
    const http = `{ port: ${port}, tls: { certificate: ${certificate}, key: ${key} } }`;
    await writeFile(join(cwd, "config.yml"), `dev: { storage: local, storage_path: ${cwd}/data, http: ${http} }\n`);
    const server = start();
    await server.ready("the registry", () => server.output.includes("listening on"));
    try {
      expect(await succeeds(["check", "-c", "config.yml"], { cwd })).to.contain("a registry is running there");
    } finally {
      await server.stop();
    }
  });

  it("tells people on a terminal where it listens, and stops at Ctrl-C", async function () {
    needs(this, "tmux");
    const words = [process.execPath, bin, "serve", "-c", "config.yml", "--port", "0"];
    const session = await TerminalSession.start(cwd, words.map((word) => `'${word}'`).join(" "));
    try {
      expect(await session.shows("serves flavor dev on http://127.0.0.1:")).to.match(
        /^registryctl \d+\.\d+\.\d+ serves/m,
      );
      await session.press("C-c");
      await session.shows("[exit 0]");
    } finally {
      await session.close();
    }
  });

  it("asks for the passphrase of a key only where somebody can answer", async function () {
    needs(this, "tmux", "openssl");
    const words = [process.execPath, bin, "keygen", "k", "--public-from", "own.pem"];
    const make = "openssl genrsa -aes256 -passout pass:sesame -out own.pem 2048 2> openssl.log";
    const session = await TerminalSession.start(cwd, `${make}; ${words.map((word) => `'${word}'`).join(" ")}`);
    try {
      await session.shows("Passphrase of own.pem");
      await session.press("sesame", "Enter");
      const screen = await session.shows("[exit 0]");
      expect(screen).to.contain("k.pub.pem").and.not.contain("sesame");
    } finally {
      await session.close();
    }
  });
});
