import { X509Certificate } from "node:crypto";
import { chmod, rename, writeFile } from "node:fs/promises";
import { connect } from "node:tls";
import { join } from "node:path";
import { expect } from "chai";
import { listen, type RunningServer } from "../../src/server/server.ts";
import { selfSigned, type Certificate } from "../support/certificate.ts";
import { needs } from "../support/needs.ts";
import { removeFolder, temporaryFolder, until } from "../support/program.ts";

describe("the certificate of a server", () => {
  let folder: string;
  let served: Certificate;
  let server: RunningServer | undefined;
  let complaints: string[];

  before(function () {
    needs(this, "openssl");
  });
  beforeEach(async () => {
    folder = await temporaryFolder();
    served = await selfSigned(folder);
    complaints = [];
    server = await listen((_, response) => response.end("hello"), {
      host: "127.0.0.1",
      port: 0,
      tls: served,
      onError: (what, error) => complaints.push(`${what}: ${error instanceof Error ? error.message : ""}`),
    });
  });
  afterEach(async () => {
    await server?.close(1);
    server = undefined;
    await removeFolder(folder);
  });

  /** The fingerprint of what a new connection is shown. */
  async function shown(): Promise<string> {
    return await new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: server?.port ?? 0, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().fingerprint256);
        socket.end();
      });
      socket.once("error", reject);
    });
  }

  it("is what its files hold, also when they are replaced", async () => {
    expect(await shown()).to.equal(new X509Certificate(served.pem).fingerprint256);
    const next = await selfSigned(folder, "next");
    await rename(next.key, served.key);
    await rename(next.certificate, served.certificate);
    await until("the new certificate", async () => (await shown()) === new X509Certificate(next.pem).fingerprint256);
    expect(await shown()).not.to.equal(new X509Certificate(served.pem).fingerprint256);
  });

  it("stays when the new one can't be used, which is told once, and is replaced by one that can", async () => {
    await writeFile(served.certificate, "nothing");
    await until("a complaint", () => complaints.length > 0);
    const [complaint] = complaints;
    expect(complaint).to.include("the old one stays").and.to.include("http.tls.certificate");
    expect(await shown()).to.equal(new X509Certificate(served.pem).fingerprint256);
    const next = await selfSigned(folder, "next");
    await rename(next.key, served.key);
    await rename(next.certificate, served.certificate);
    await until("the new certificate", async () => (await shown()) === new X509Certificate(next.pem).fingerprint256);
    expect(complaints.filter((one) => one === complaint)).to.deep.equal([complaint]);
  });

  it("is refused with a key that every user may read", async () => {
    await chmod(served.key, 0o644);
    const refused = await listen(() => undefined, { host: "127.0.0.1", port: 0, tls: served }).then(
      async (running) => {
        await running.close(0);
        return undefined;
      },
      (error: unknown) => (error instanceof Error ? error.message : ""),
    );
    expect(refused)
      .to.include("0644")
      .and.to.include(`chmod o= ${join(folder, "tls.key")}`);
  });
});
