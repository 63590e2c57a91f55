import { execFileSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { sign, signatureText, verify } from "../../../src/server/access/signature.ts";
import { needs } from "../../support/needs.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

describe("request signature", () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const request = {
    method: "PUT",
    path: "/v1/repositories/me/app/images",
    headers: { "x-docker-token": "true", "X-DOCKER-CHECKSUM": "sha256:1", accept: "*/*", "x-docker-unset": undefined },
  };

  it("covers method, path and the X-Docker headers in order of their names", () => {
    expect(signatureText(request)).to.equal(
      "PUT,/v1/repositories/me/app/images,X-Docker-Checksum:sha256:1,X-Docker-Token:true",
    );
  });

  it("covers the path as it is meant, not as it is written", () => {
    expect(signatureText({ method: "get", path: "/v1/a%2Bb%zz", headers: {} })).to.equal("GET,/v1/a%2Bb%zz");
    expect(signatureText({ method: "get", path: "/v1/a%2Bb", headers: {} })).to.equal("GET,/v1/a+b");
  });

  for (const hash of ["sha1", "sha256"] as const) {
    it(`made with ${hash} is valid for its request and for no other`, () => {
      const signed = { ...request, headers: { ...request.headers, "X-Signature": sign(request, privateKey, hash) } };
      expect(verify(signed, publicKey)).to.be.true;
      expect(verify(signed, privateKey)).to.be.true;
      expect(verify({ ...signed, method: "DELETE" }, publicKey)).to.be.false;
      expect(verify({ ...signed, path: "/v1/repositories/me/other/images" }, publicKey)).to.be.false;
      expect(verify({ ...signed, headers: { ...signed.headers, "x-docker-token": "false" } }, publicKey)).to.be.false;
      expect(verify({ ...signed, headers: { ...signed.headers, "x-docker-more": "" } }, publicKey)).to.be.false;
      expect(verify(signed, generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey)).to.be.false;
      expect(verify(signed, generateKeyPairSync("ed25519").publicKey)).to.be.false;
    });
  }

  it("that is missing or malformed is not valid", () => {
    const good = sign(request, privateKey);
    const malformed = [
      "",
      "data",
      "data=",
      "data=%",
      ";;;=;=",
      good.replace("sha1", "md5"),
      good.replace("sha1", "sha256"),
      good.slice(0, -20),
      good + "AAAA",
      "x".repeat(100_000),
    ];
    for (const value of malformed) {
      expect(verify({ ...request, headers: { ...request.headers, "x-signature": value } }, publicKey), value).to.be
        .false;
    }
    expect(verify(request, publicKey)).to.be.false;
  });

  describe("made by openssl", () => {
    let folder: string;
    before(async function () {
      needs(this, "openssl");
      folder = await temporaryFolder();
    });
    after(async () => {
      if (folder) await removeFolder(folder);
    });

    it("is valid", async () => {
      const key = join(folder, "key.pem");
      execFileSync("openssl", ["genrsa", "-out", key, "2048"], { stdio: "ignore" });
      const pem = execFileSync("openssl", ["rsa", "-in", key, "-RSAPublicKey_out"], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      await writeFile(join(folder, "text"), "GET,/v1/images/abc/layer,X-Docker-Token:true");
      const data = execFileSync("openssl", ["dgst", "-sha1", "-sign", key, join(folder, "text")]).toString("base64");
      const headers = { "X-Docker-Token": "true", "X-Signature": `version=1; data=${data}` };
      expect(verify({ method: "GET", path: "/v1/images/abc/layer", headers }, createPublicKey(pem))).to.be.true;
    });
  });
});
