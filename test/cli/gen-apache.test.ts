import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { Apache, needsApache } from "../support/apache.ts";
import { passwordFile, selfSigned, type Certificate } from "../support/certificate.ts";
import { registryctl, succeeds } from "../support/cli.ts";
import { generated, variants } from "../support/front-end.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

describe("registryctl gen-apache", () => {
  let cwd: string;
  before(async () => {
    cwd = await temporaryFolder();
    await mkdir(join(cwd, "data"));
    await writeFile(
      join(cwd, "config.yml"),
      `common: { http: { trusted_proxies: [127.0.0.1] } }
plain: { storage: local, storage_path: ${cwd}/data }
offload: { storage: local, storage_path: ${cwd}/data, apache_x_sendfile: true }
tls: { storage: local, storage_path: ${cwd}/data, http: { tls: { certificate: a, key: b } } }
tokens: { storage: local, storage_path: ${cwd}/data, standalone: false }
`,
    );
  });
  after(async () => {
    await removeFolder(cwd);
  });
  const generate = async (flavor: string, ...args: string[]) =>
    await registryctl(["gen-apache", "-c", "config.yml", "-f", flavor, ...args], { cwd });

  it("offloads when the flavor says so, and says how when only the flag does", async () => {
    expect((await generate("plain")).stdout).not.to.contain("XSendFile on");
    const told = await generate("offload", "-n", "x");
    expect(told.stdout).to.contain(`XSendFile on\n  XSendFilePath "${cwd}/data"`);
    expect(told.stderr).to.equal("");
    const asked = await generate("plain", "--offload");
    expect(asked.stdout).to.contain("XSendFile on");
    expect(asked.stderr).to.contain("set apache_x_sendfile: true in flavor plain");
  });

  it("speaks TLS to a registry that does", async () => {
    expect((await generate("tls")).stdout)
      .to.contain("SSLProxyEngine on")
      .and.contain('ProxyPass "/" "https://127.0.0.1:5000/"');
  });

  it("listens only where Apache does not do so anyway", async () => {
    expect((await generate("plain")).stdout).not.to.contain("Listen");
    expect((await generate("plain", "-p", "8080")).stdout).to.contain("\nListen 8080\n");
    expect((await generate("plain", "-p", "8080", "--listen", "127.0.0.1")).stdout).to.contain(
      "\nListen 127.0.0.1:8080\n",
    );
  });

  it("refuses passwords beside tokens", async () => {
    const { code, stderr } = await generate("tokens", "-a", "x");
    expect(code).to.equal(2);
    expect(stderr).to.contain("the same header");
  });

  it("writes to a file", async () => {
    await succeeds(["gen-apache", "-c", "config.yml", "-f", "plain", "-o", "r.conf"], { cwd });
    expect(await readFile(join(cwd, "r.conf"), "utf8")).to.contain("<VirtualHost *:80>");
  });

  describe("before Apache itself", () => {
    let apache: Apache;
    let certificate: Certificate;
    let passwords: string;
    before(async function () {
      needsApache(this);
      apache = new Apache(join(cwd, "apache"));
      certificate = await selfSigned(cwd);
      passwords = await passwordFile(cwd, "alice", "wonder");
    });

    it("is right in every combination of options", async function () {
      this.timeout(300_000);
      const all = variants(certificate, passwords);
      for (const variant of all) {
        const text = await generated("gen-apache", "config.yml", variant, cwd);
        expect(await apache.complaints(text), variant.name).to.equal("");
      }
      expect(all).to.have.length(72);
    });

    it("quotes paths that hold spaces, quotes, braces and semicolons", async () => {
      const odd = join(cwd, `o'd "d {;} $x \\`);
      await mkdir(odd);
      const { certificate: path, key } = await selfSigned(odd);
      const { stdout } = await generate("plain", "--tls-certificate", path, "--tls-key", key, "-a", join(odd, "pw"));
      expect(await apache.complaints(stdout)).to.equal("");
    });

    it("names the module that is missing", async () => {
      const { stdout } = await generate("offload");
      expect(await apache.complaints(stdout, "xsendfile")).to.contain(
        "the registry needs mod_xsendfile: a2enmod xsendfile",
      );
    });
  });
});
