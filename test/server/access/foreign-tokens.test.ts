import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { exportJWK, SignJWT } from "jose";
import { foreignTokens, type ForeignKeys } from "../../../src/server/access/foreign-tokens.ts";
import { RegistryError } from "../../../src/server/errors.ts";
import { makeCertificates } from "../../support/certificates.ts";
import { selfSigned } from "../../support/certificate.ts";
import { needs } from "../../support/needs.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

describe("tokens of another service", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  let folder: string;
  let jwks: string;
  before(async function () {
    needs(this, "openssl");
    folder = await temporaryFolder();
    await makeCertificates(folder);
    jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "one" }] });
  });
  after(async () => {
    await removeFolder(folder);
  });

  const reader = (keys: ForeignKeys) => foreignTokens({ service: "registry", issuer: "tokens", keys });
  const token = async ({
    key = privateKey,
    header = { kid: "one" },
    issuer = "tokens",
    service = "registry",
    life = 60,
  }: {
    readonly key?: KeyObject | string;
    readonly header?: object;
    readonly issuer?: string;
    readonly service?: string;
    readonly life?: number;
  } = {}): Promise<string> =>
    await new SignJWT({ access: [{ type: "repository", name: "a", actions: ["pull"] }] })
      .setProtectedHeader({ alg: "ES256", ...header })
      .setIssuer(issuer)
      .setAudience(service)
      .setSubject("ann")
      .setExpirationTime(Math.floor(Date.now() / 1000) + life)
      .sign(typeof key === "string" ? (await import("node:crypto")).createPrivateKey(key) : key);

  it("are believed by the keys of a set, and for nothing but what they are", async () => {
    const read = reader({ kind: "jwks", text: jwks });
    const { subject, scopes } = (await read(await token())) ?? {};
    expect([subject, scopes]).to.deep.equal(["ann", [{ type: "repository", name: "a", actions: ["pull"] }]]);
    const wrong = [
      { key: other },
      { issuer: "others" },
      { service: "others" },
      { life: -61 },
      { header: { kid: "two" } },
    ];
    for (const each of wrong) expect(await read(await token(each)), JSON.stringify(each)).to.equal(undefined);
    expect(await read("nonsense")).to.equal(undefined);
  });

  it("are believed by a set that a server has; when it does not answer, nobody knows", async () => {
    let fails = false;
    const server = createServer((_request, response) => response.writeHead(fails ? 500 : 200).end(jwks));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`);
    expect((await reader({ kind: "url", url })(await token()))?.subject).to.equal("ann");
    fails = true;
    const failure = await reader({ kind: "url", url })(await token()).catch((error: unknown) => error);
    server.close();
    const gone = await reader({ kind: "url", url })(await token()).catch((error: unknown) => error);
    for (const error of [failure, gone]) {
      expect(error).to.be.instanceOf(RegistryError).with.property("code", "TOKEN_SERVICE_UNAVAILABLE");
    }
  });

  it("are believed by certificates: of the key itself, or of who has signed that of the token", async () => {
    const pem = async (name: string) => await readFile(join(folder, name), "utf8");
    const der = async (name: string) => (await pem(name)).replace(/-----[^-]+-----|\s/g, "");
    const trusting = reader({ kind: "certificates", pem: await pem("authority.pem") });
    const chain = { x5c: [await der("client.pem")] };
    expect((await trusting(await token({ key: await pem("client.key"), header: chain })))?.subject).to.equal("ann");
    expect((await trusting(await token({ key: await pem("authority.key"), header: {} })))?.subject).to.equal("ann");
    expect(await trusting(await token({ key: other, header: chain }))).to.equal(undefined);
    const stranger = await selfSigned(folder, "stranger");
    const unknown = { x5c: [await der("stranger.crt")] };
    expect(await trusting(await token({ key: await readFile(stranger.key, "utf8"), header: unknown }))).to.equal(
      undefined,
    );
    const mixed = { x5c: [await der("stranger.crt"), await der("authority.pem")] };
    expect(await trusting(await token({ key: await readFile(stranger.key, "utf8"), header: mixed }))).to.equal(
      undefined,
    );
    expect(await trusting(await token({ header: { x5c: ["bm9uc2Vuc2U="] } }))).to.equal(undefined);
  });
});
