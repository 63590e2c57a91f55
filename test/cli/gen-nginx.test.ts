import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { passwordFile, selfSigned, type Certificate } from "../support/certificate.ts";
import { registryctl, succeeds } from "../support/cli.ts";
import { generated, variants } from "../support/front-end.ts";
import { needs } from "../support/needs.ts";
import { Nginx } from "../support/nginx.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

describe("registryctl gen-nginx", () => {
  let cwd: string;
  before(async () => {
    cwd = await temporaryFolder();
    await writeFile(
      join(cwd, "config.yml"),
      `common: { http: { trusted_proxies: [127.0.0.1] } }
plain: { storage: local, storage_path: ${cwd}/data }
offload: { storage: local, storage_path: ${cwd}/data, nginx_x_accel_redirect: /internal }
tokens: { storage: local, storage_path: ${cwd}/data, standalone: false }
memory: { storage: memory }
far: { storage: local, storage_path: ${cwd}/data, public_url: "https://far.example.com:8443", http: { host: "::", port: 5005, idle_timeout: 7200 } }
metrics: { storage: local, storage_path: ${cwd}/data, http: { port: 5005 }, metrics: { port: 5006 } }
socket: { storage: local, storage_path: ${cwd}/data, http: { host: "unix:/run/r.sock" } }
root: { storage: local, storage_path: ${cwd}/data, nginx_x_accel_redirect: /v1 }
`,
    );
  });
  after(async () => {
    await removeFolder(cwd);
  });
  const generate = async (flavor: string, ...args: string[]) =>
    await registryctl(["gen-nginx", "-c", "config.yml", "-f", flavor, ...args], { cwd });

  it("finds the registry where the flavor listens, and its name in public_url", async () => {
    const far = (await generate("far")).stdout;
    expect(far).to.contain("server [::1]:5005;").and.contain("server_name far.example.com;");
    expect(far).to.contain("proxy_read_timeout 7200s;");
    expect((await generate("metrics")).stdout)
      .to.contain("5005")
      .and.not.contain("5006");
    expect((await generate("socket")).stdout).to.contain("server unix:/run/r.sock;");
  });

  it("asks several registries in turns, and leaves none out for having failed", async () => {
    const { stdout } = await generate("plain", "--upstream", "10.0.0.1:5000", "--upstream", "unix:/run/r.sock");
    expect(stdout).to.contain("server 10.0.0.1:5000 max_fails=0;").and.contain("server unix:/run/r.sock max_fails=0;");
    expect(stdout).to.contain("proxy_connect_timeout");
    expect((await generate("plain")).stdout).to.contain("server 127.0.0.1:5000;");
  });

  it("offloads when the flavor says so, and says how when only the flag does", async () => {
    expect((await generate("plain")).stdout).not.to.contain("internal;");
    const told = await generate("offload", "-n", "x");
    expect(told.stdout).to.contain('location "/internal/" {').and.contain(`alias "${cwd}/data/";`);
    expect(told.stderr).to.equal("");
    const asked = await generate("plain", "--offload");
    expect(asked.stdout).to.contain('location "/internal/" {');
    expect(asked.stderr).to.contain("set nginx_x_accel_redirect: /internal in flavor plain");
  });

  it("warns of passwords in the clear and of a registry that believes no proxy", async () => {
    await writeFile(join(cwd, "alone.yml"), "dev: { storage: memory }");
    const { stderr } = await registryctl(["gen-nginx", "-c", "alone.yml", "-a", "pw"], { cwd });
    expect(stderr)
      .to.contain("passwords without TLS")
      .and.contain("http.trusted_proxies")
      .and.contain("no --server-name");
  });

  for (const [wrong, flavor, args, says] of [
    ["a certificate without its key", "plain", ["--tls-certificate", "x"], "go together"],
    ["passwords beside tokens", "tokens", ["--basic-auth", "x"], "the same header"],
    ["offload without local storage", "memory", ["--offload"], "needs local storage"],
    ["an internal location that hides the registry", "root", [], "hides the registry"],
    ["a name with a semicolon", "plain", ["-n", "a;b"], "--server-name"],
    ["an upstream without a port", "plain", ["--upstream", "registry"], "--upstream"],
    ["an address with a brace", "plain", ["--listen", "1.2.3.4 {"], "--listen"],
    ["a path with a dollar sign", "plain", ["-a", "/etc/$x"], "cannot hold"],
    ["a path with a line break", "plain", ["-a", "/etc/a\nb"], "cannot hold"],
  ] as const) {
    it(`refuses ${wrong}`, async () => {
      const { code, stderr, stdout } = await generate(flavor, ...args);
      expect(code).to.equal(2);
      expect(stderr).to.contain(says);
      expect(stdout).to.equal("");
    });
  }

  it("says with exit code 3 that the configuration is not valid", async () => {
    expect((await generate("none-such")).code).to.equal(3);
  });

  it("writes to a file, and over one only when forced", async () => {
    await mkdir(join(cwd, "conf.d"));
    await succeeds(["gen-nginx", "-c", "config.yml", "-f", "plain", "-o", "conf.d/r.conf"], { cwd });
    expect(await readFile(join(cwd, "conf.d/r.conf"), "utf8")).to.contain("upstream registryctl {");
    const again = await generate("plain", "-o", "conf.d/r.conf");
    expect(again.code).to.equal(1);
    expect(again.stderr).to.contain("--force");
    expect((await generate("plain", "-o", "conf.d/r.conf", "--force")).code).to.equal(0);
  });

  describe("before nginx itself", () => {
    let nginx: Nginx;
    let certificate: Certificate;
    let passwords: string;
    before(async function () {
      needs(this, "nginx", "openssl");
      nginx = new Nginx(join(cwd, "nginx"));
      certificate = await selfSigned(cwd);
      passwords = await passwordFile(cwd, "alice", "wonder");
    });

    it("is right in every combination of options", async function () {
      this.timeout(300_000);
      const all = variants(certificate, passwords);
      for (const variant of all) {
        const text = await generated("gen-nginx", "config.yml", variant, cwd);
        expect(await nginx.complaints(text), variant.name).to.equal("");
      }
      expect(all).to.have.length(72);
    });

    it("sends nobody on from the port that serves HTTPS itself", async () => {
      const tls = ["--tls-certificate", certificate.certificate, "--tls-key", certificate.key, "--port", "80"];
      const { stdout } = await generate("plain", ...tls);
      expect(stdout).not.to.contain("return 308");
      expect(await nginx.complaints(stdout)).to.equal("");
    });

    it("quotes paths that hold spaces, quotes, braces and semicolons", async () => {
      const odd = join(cwd, `o'd "d {;} \\`);
      await mkdir(odd);
      const { certificate: path, key } = await selfSigned(odd);
      const { stdout } = await generate("plain", "--tls-certificate", path, "--tls-key", key, "-a", join(odd, "pw"));
      expect(await nginx.complaints(stdout)).to.equal("");
    });

    it("has a form for nginx before 1.3.9 whose only news is the chunkin module", async () => {
      const tls = ["--tls-certificate", certificate.certificate, "--tls-key", certificate.key];
      const { stdout } = await generate("offload", "--legacy-chunkin", "-a", passwords, ...tls);
      expect(stdout).to.contain("  chunkin on;\n  error_page 411 = @registryctl_chunked;");
      expect(await nginx.complaints(stdout)).to.contain('unknown directive "chunkin"');
      expect(await nginx.complaints(stdout.replace(/^\s*chunkin(_resume| on);$/gm, ""))).to.equal("");
      for (const newer of ["proxy_request_buffering", "TLSv1.3", " always;", "etag off", "return 308"]) {
        expect(stdout).not.to.contain(newer);
      }
    });
  });
});
