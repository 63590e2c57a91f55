import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { registryctl, succeeds } from "../support/cli.ts";
import { needs } from "../support/needs.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

describe("registryctl keygen", () => {
  let cwd: string;
  beforeEach(async () => {
    cwd = await temporaryFolder();
  });
  afterEach(async () => {
    await removeFolder(cwd);
  });
  const read = async (name: string): Promise<string> => await readFile(join(cwd, name), "utf8");
  const openssl = (...args: string[]): string =>
    execFileSync("openssl", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

  it("writes a private key for its owner alone and the public key in both forms", async () => {
    const stdout = await succeeds(["keygen", "--bits", "2048"], { cwd });
    const names = ["registry-key.pem", "registry-key.pub.pem", "registry-key.spki.pem"];
    expect(stdout.trim().split("\n")).to.deep.equal(names.map((name) => join(cwd, name)));
    expect((await readdir(cwd)).sort()).to.deep.equal(names);
    expect((await stat(join(cwd, "registry-key.pem"))).mode & 0o777).to.equal(0o600);
    expect(await read("registry-key.pub.pem")).to.match(/^-----BEGIN RSA PUBLIC KEY-----\n/);
    expect(await read("registry-key.spki.pem")).to.match(/^-----BEGIN PUBLIC KEY-----\n/);
  });

  it("says as JSON what it wrote", async () => {
    const answer: unknown = JSON.parse(await succeeds(["keygen", "k", "--bits", "2048", "--json"], { cwd }));
    expect(answer).to.deep.equal({
      private: join(cwd, "k.pem"),
      pkcs1: join(cwd, "k.pub.pem"),
      spki: join(cwd, "k.spki.pem"),
      bits: 2048,
    });
  });

  it("refuses keys below 2048 bits", async () => {
    const { code, stderr } = await registryctl(["keygen", "--bits", "2047"], { cwd });
    expect(code).to.equal(2);
    expect(stderr).to.contain("from 2048 to 16384");
    expect(await readdir(cwd)).to.deep.equal([]);
  });

  for (const existing of ["k.pem", "k.pub.pem", "k.spki.pem"]) {
    it(`leaves everything as it was when ${existing} exists, unless forced`, async () => {
      await writeFile(join(cwd, existing), "mine");
      const refused = await registryctl(["keygen", "k", "--bits", "2048"], { cwd });
      expect(refused.code).to.equal(1);
      expect(refused.stderr).to.contain(`${join(cwd, existing)} exists; --force replaces it`);
      expect(await readdir(cwd)).to.deep.equal([existing]);
      expect(await read(existing)).to.equal("mine");
      await succeeds(["keygen", "k", "--bits", "2048", "--force"], { cwd });
      expect(await readdir(cwd)).to.have.length(3);
      expect(await read(existing)).to.contain("-----BEGIN");
    });
  }

  it("puts everything back when it cannot replace all of it", async () => {
    await writeFile(join(cwd, "k.pem"), "mine");
    await mkdir(join(cwd, "k.spki.pem"));
    const { code, stderr } = await registryctl(["keygen", "k", "--bits", "2048", "--force"], { cwd });
    expect(code).to.equal(1);
    expect(stderr).to.contain("cannot write");
    expect((await readdir(cwd)).sort()).to.deep.equal(["k.pem", "k.spki.pem"]);
    expect(await read("k.pem")).to.equal("mine");
  });

  it("leaves nothing behind where it cannot write", async () => {
    const { code, stderr } = await registryctl(["keygen", "no/such/folder/k", "--bits", "2048"], { cwd });
    expect(code).to.equal(1);
    expect(stderr).to.contain("cannot write").and.contain("ENOENT");
  });

  it("refuses keys that are not RSA, and files that are no keys", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    await writeFile(join(cwd, "ed.pem"), privateKey.export({ type: "pkcs8", format: "pem" }));
    await writeFile(join(cwd, "text.pem"), "hello");
    const ed = await registryctl(["keygen", "--public-from", "ed.pem"], { cwd });
    expect(ed.code).to.equal(1);
    expect(ed.stderr).to.contain("type ed25519; an RSA key is needed");
    const none = await registryctl(["keygen", "--public-from", "text.pem"], { cwd });
    expect(none.code).to.equal(1);
    expect(none.stderr).to.contain("text.pem cannot be read as a private key");
    const missing = await registryctl(["keygen", "--public-from", "missing.pem"], { cwd });
    expect(missing.code).to.equal(1);
    expect(missing.stderr).to.contain("ENOENT");
  });

  describe("beside openssl", () => {
    before(function () {
      needs(this, "openssl");
    });

    it("makes public keys that are exactly those openssl derives", async () => {
      await succeeds(["keygen", "k", "--bits", "2048"], { cwd });
      expect(await read("k.pub.pem")).to.equal(openssl("rsa", "-in", "k.pem", "-RSAPublicKey_out"));
      expect(await read("k.spki.pem")).to.equal(openssl("rsa", "-in", "k.pem", "-pubout"));
      expect(openssl("rsa", "-in", "k.pem", "-check", "-noout")).to.contain("RSA key ok");
    });

    for (const [form, args] of [
      ["PKCS#1", ["genrsa", "-traditional", "-out", "own.pem", "2048"]],
      ["PKCS#8", ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "own.pem"]],
    ] as const) {
      it(`writes the public files of an openssl key in ${form} form`, async () => {
        openssl(...args);
        await succeeds(["keygen", "k", "--public-from", "own.pem"], { cwd });
        expect((await readdir(cwd)).sort()).to.deep.equal(["k.pub.pem", "k.spki.pem", "own.pem"]);
        expect(await read("k.pub.pem")).to.equal(openssl("rsa", "-in", "own.pem", "-RSAPublicKey_out"));
        expect(await read("k.spki.pem")).to.equal(openssl("rsa", "-in", "own.pem", "-pubout"));
      });
    }

    for (const [form, extra] of [
      ["PKCS#1", ["-traditional"]],
      ["PKCS#8", []],
    ] as const) {
      it(`reads an encrypted key in ${form} form with its passphrase`, async () => {
        openssl("genrsa", ...extra, "-aes256", "-passout", "pass:open sesame", "-out", "own.pem", "2048");
        await writeFile(join(cwd, "right"), "open sesame\n");
        await writeFile(join(cwd, "wrong"), "abracadabra\n");
        const nobody = await registryctl(["keygen", "k", "--public-from", "own.pem"], { cwd });
        expect(nobody.code).to.equal(2);
        expect(nobody.stderr).to.contain("--passphrase-file");
        const wrong = await registryctl(["keygen", "k", "--public-from", "own.pem", "--passphrase-file", "wrong"], {
          cwd,
        });
        expect(wrong.code).to.equal(1);
        expect(wrong.stderr).to.contain("is the passphrase right?");
        await succeeds(["keygen", "k", "--public-from", "own.pem", "--passphrase-file", "right"], { cwd });
        expect(await read("k.pub.pem")).to.contain("BEGIN RSA PUBLIC KEY");
      });
    }
  });
});
