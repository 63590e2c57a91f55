import { createPublicKey, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { verify } from "../../src/server/index.ts";
import { registryctl, succeeds } from "../support/cli.ts";
import { freePort, removeFolder, temporaryFolder } from "../support/program.ts";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
  readonly valid: boolean;
}

describe("registryctl request", () => {
  let cwd: string;
  let server: Server;
  let url: string;
  let publicKey: KeyObject;
  let seen: Seen[];

  before(async () => {
    cwd = await temporaryFolder();
    await succeeds(["keygen", "key", "--bits", "2048"], { cwd });
    publicKey = createPublicKey(await readFile(join(cwd, "key.pub.pem")));
    server = createServer((incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        const { method = "", url = "", headers } = incoming;
        const path = url.replace(/\?.*/, "");
        seen.push({
          method,
          url,
          headers,
          body: Buffer.concat(chunks).toString(),
          valid: verify({ method, path, headers }, publicKey),
        });
        response.statusCode = path === "/missing" ? 404 : 200;
        response.setHeader("X-Answer", "42");
        response.end(path === "/binary" ? Buffer.from([0xff, 0x00, 0xfe]) : '{"a": 1}');
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    server.close();
    await removeFolder(cwd);
  });
  beforeEach(() => {
    seen = [];
  });
  const request = async (...args: string[]) =>
    await registryctl(["request", ...args, "--key", "key.pem", "--url", url], { cwd });

  it("signs method, path and X-Docker headers, and prints status and body apart", async () => {
    const outcome = await request("get", "/v1/images/abc/json?x=1", "-H", "X-Docker-Token: true", "-H", "x-docker-a:1");
    expect(outcome).to.deep.equal({ code: 0, stdout: '{"a": 1}', stderr: "200 OK\n" });
    const [first] = seen;
    expect(first).to.include({ method: "GET", url: "/v1/images/abc/json?x=1", valid: true });
    expect(first?.headers).to.include({ "x-docker-token": "true", "x-docker-a": "1" });
  });

  it("can sign with sha256", async () => {
    await request("GET", "/", "--hash", "sha256");
    expect(seen[0]?.headers["x-signature"]).to.match(/^algorithm=sha256; data=/);
    expect(seen[0]?.valid).to.be.true;
  });

  it("sends data, a file or stdin as the body", async () => {
    await writeFile(join(cwd, "body"), "from a file");
    await request("PUT", "/x", "--data", '["é"]');
    await request("PUT", "/x", "--data-file", "body");
    await registryctl(["request", "PUT", "/x", "--data-file", "-", "--key", "key.pem", "--url", url], {
      cwd,
      input: "from stdin",
    });
    expect(seen.map(({ body, headers }) => [body, headers["content-type"], headers["content-length"]])).to.deep.equal([
      ['["é"]', "application/json", "6"],
      ["from a file", "application/octet-stream", "11"],
      ["from stdin", "application/octet-stream", undefined],
    ]);
  });

  it("draws its progress on stderr when that is a terminal", async () => {
    const args = ["request", "PUT", "/x", "--data-file", "-", "--key", "key.pem", "--url", url];
    const { stdout, stderr } = await registryctl(args, { cwd, input: "x".repeat(1000), terminal: true });
    expect(stderr).to.contain("\rsending 0.0 MB");
    expect(stdout).to.equal('{"a": 1}\n');
  });

  it("fails for a status of 400 or more, with the body still on stdout", async () => {
    expect(await request("GET", "/missing")).to.deep.equal({ code: 1, stdout: '{"a": 1}', stderr: "404 Not Found\n" });
  });

  it("prints the whole answer as JSON", async () => {
    const { stdout, stderr } = await request("GET", "/", "--json");
    expect(stderr).to.equal("");
    const answer = JSON.parse(stdout) as { headers: unknown };
    expect(answer).to.include({ status: 200, reason: "OK", body: '{"a": 1}' });
    expect(answer.headers).to.include({ "x-answer": "42" });
    const binary = await request("GET", "/binary", "--json");
    expect(JSON.parse(binary.stdout)).to.include({ bodyBase64: "/wD+" });
  });

  for (const [wrong, args, says] of [
    ["a path without a slash", ["GET", "v1"], "must begin with /"],
    ["a header without a colon", ["GET", "/", "-H", "nothing"], "'Name: value'"],
    ["another kind of URL", ["GET", "/", "--url", "ftp://x"], "http:// or https://"],
    ["two bodies", ["PUT", "/", "-d", "x", "--data-file", "y"], "cannot be used with"],
    ["an unknown hash", ["GET", "/", "--hash", "md5"], "sha1, sha256"],
  ] as const) {
    it(`calls ${wrong} wrong usage`, async () => {
      const { code, stderr } = await registryctl(["request", "--key", "key.pem", ...args], { cwd });
      expect(code).to.equal(2);
      expect(stderr).to.contain(says);
    });
  }

  it("says so when nobody answers or the key is none", async () => {
    const dead = `http://127.0.0.1:${await freePort()}`;
    const nobody = await registryctl(["request", "GET", "/", "--key", "key.pem", "--url", dead], { cwd });
    expect(nobody.code).to.equal(1);
    expect(nobody.stderr).to.contain(`${dead} does not answer`).and.contain("ECONNREFUSED");
    const key = await registryctl(["request", "GET", "/", "--key", "key.pub.pem", "--url", url], { cwd });
    expect(key.code).to.equal(1);
    expect(key.stderr).to.contain("cannot be read as a private key");
  });

  it("refuses a key that every user may read", async () => {
    await chmod(join(cwd, "key.pem"), 0o604);
    const { code, stderr } = await request("GET", "/");
    await chmod(join(cwd, "key.pem"), 0o600);
    expect(code).to.equal(1);
    expect(stderr)
      .to.contain("0604")
      .and.contain(`chmod o= ${join(cwd, "key.pem")}`);
    expect(seen).to.deep.equal([]);
  });

  it("ends with 130 when it is interrupted", async () => {
    const signal = AbortSignal.abort(new Error("stopped"));
    const { code } = await registryctl(["request", "GET", "/", "--key", "key.pem", "--url", url], { cwd, signal });
    expect(code).to.equal(130);
  });
});
