import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { StoredTokenKeys } from "../../../src/server/access/token-keys.ts";
import { Tokens } from "../../../src/server/access/tokens.ts";
import { hashed } from "../../../src/server/accounts/password-hash.ts";
import { Documents } from "../../../src/server/registry/documents.ts";
import { basic } from "../../support/guarded-registry.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

describe("the token service", () => {
  let folder: string;
  let server: RegistryServer;
  let users: readonly string[];
  before(async () => {
    folder = await temporaryFolder();
    users = await Promise.all(["ann", "bob"].map(async (name) => `${name}:${await hashed(`${name}-secret`, 4)}\n`));
    await writeFile(join(folder, "users"), users.join(""));
    server = await startRegistry({
      auth: {
        htpasswd: join(folder, "users"),
        rules: [
          { who: ["ann"], repositories: ["team/*"], actions: ["all"] },
          { who: ["anonymous", "*"], repositories: ["public/*"], actions: ["pull"] },
        ],
      },
    });
  });
  after(async () => {
    await server.close();
    await removeFolder(folder);
  });

  interface Given {
    readonly token?: string;
    readonly access_token: string;
    readonly refresh_token?: string;
    readonly expires_in: number;
    readonly scope?: string;
  }
  const get = async (query: string, headers = {}) => await server.client.send("GET", `/v2/token?${query}`, { headers });
  const post = async (form: Readonly<Record<string, string>>) =>
    await server.client.send("POST", "/v2/token", {
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: Buffer.from(new URLSearchParams(form).toString()),
    });
  const given = ({ status, body }: { status: number; body: Buffer }): Given => {
    expect(status, body.toString()).to.equal(200);
    return JSON.parse(body.toString()) as Given;
  };
  const accessOf = (token: string) => decodeJwt(token)["access"];
  const statusOf = async (token: string, path = "/v2/team/none/tags/list") =>
    (await server.client.send("GET", path, { headers: { Authorization: `Bearer ${token}` } })).status;

  it("gives of what is asked for as much as is allowed", async () => {
    const query =
      "service=registryctl&scope=repository:team/a:pull,push&scope=repository:other/a:pull%20repository:public/b:*";
    const { token, access_token: same, expires_in: life } = given(await get(query, basic("ann")));
    expect(accessOf(token ?? "")).to.deep.equal([
      { type: "repository", name: "team/a", actions: ["pull", "push"] },
      { type: "repository", name: "public/b", actions: ["pull"] },
    ]);
    expect([same, life]).to.deep.equal([token, 300]);
    expect(decodeJwt(same)).to.include({ iss: "registryctl", aud: "registryctl", sub: "ann" });
    expect(decodeProtectedHeader(same)).to.include({ alg: "ES256", typ: "JWT" });
    const anyone = given(await get("scope=repository:team/a:pull&scope=repository:public/b:pull,push"));
    expect(accessOf(anyone.access_token)).to.deep.equal([{ type: "repository", name: "public/b", actions: ["pull"] }]);
    expect(
      accessOf(given(await get("scope=nonsense&scope=registry:catalog:*", basic("bob"))).access_token),
    ).to.deep.equal([{ type: "registry", name: "catalog", actions: ["*"] }]);
  });

  it("refuses wrong passwords and other services, and lets nobody cache an answer", async () => {
    const wrong = await get("scope=repository:public/b:pull", basic("ann", "wrong"));
    expect([wrong.status, wrong.headers["www-authenticate"]]).to.deep.equal([
      401,
      'Basic realm="registryctl", charset="UTF-8"',
    ]);
    expect((await get("service=other", basic("ann"))).status).to.equal(400);
    expect((await get("", basic("ann"))).headers["cache-control"]).to.equal("no-store");
  });

  it("speaks OAuth 2: a password, then the refresh token that came for it, until the account's password is another", async () => {
    const scope = "repository:team/a:pull,push repository:public/b:pull";
    const first = given(
      await post({ grant_type: "password", username: "ann", password: "ann-secret", scope, access_type: "offline" }),
    );
    expect(first.scope).to.equal(scope);
    const { refresh_token: refresh = "" } = first;
    const again = given(
      await post({ grant_type: "refresh_token", refresh_token: refresh, service: "registryctl", scope }),
    );
    expect(again.refresh_token).to.equal(refresh);
    expect(await statusOf(again.access_token, "/v2/team/a/tags/list")).to.equal(404);
    expect(given(await get("offline_token=true", basic("ann"))).refresh_token).to.be.a("string");
    expect(given(await get("offline_token=true")).refresh_token).to.equal(undefined);
    expect(
      given(await post({ grant_type: "password", username: "ann", password: "ann-secret" })).refresh_token,
    ).to.equal(undefined);

    expect((await post({ grant_type: "password", username: "ann", password: "wrong" })).status).to.equal(401);
    expect((await post({ grant_type: "refresh_token", refresh_token: again.access_token })).status).to.equal(401);
    expect((await post({ grant_type: "magic" })).status).to.equal(400);
    // An access token is none to refresh with, nor the other way round.
    expect(await statusOf(refresh)).to.equal(401);

    await writeFile(join(folder, "users"), `ann:${await hashed("another secret", 4)}\n${users[1] ?? ""}`);
    await until(
      "the refresh token to end",
      async () => (await post({ grant_type: "refresh_token", refresh_token: refresh })).status === 401,
    );
    await writeFile(join(folder, "users"), users.join(""));
    await until("the account to be back", async () => (await get("", basic("ann"))).status === 200);
  });

  it("gives none for a token, of whatever kind", async () => {
    const { access_token: token } = given(await get("scope=repository:team/a:pull", basic("ann")));
    const index = await server.client.send("GET", "/v1/repositories/team/a/images", { headers: basic("ann") });
    expect(index.status).to.equal(404);
    const allowed = await server.client.send("PUT", "/v1/repositories/team/a/", {
      headers: { ...basic("ann"), "Content-Type": "application/json" },
      body: Buffer.from("[]"),
    });
    const ofV1 = String(allowed.headers["x-docker-token"]);
    for (const authorization of [`Bearer ${token}`, ofV1]) {
      expect(authorization).to.match(/eyJ/);
      for (const query of ["scope=repository:team/a:pull", "offline_token=true"]) {
        const { status, headers, body } = await get(query, { Authorization: authorization });
        expect([status, headers["www-authenticate"]]).to.deep.equal([
          401,
          'Basic realm="registryctl", charset="UTF-8"',
        ]);
        expect(body.toString()).not.to.contain("eyJ");
      }
    }
  });

  it("ends the tokens of an account that has another password", async () => {
    const { access_token: token } = given(await get("scope=repository:team/none:pull", basic("ann")));
    expect(await statusOf(token)).to.equal(404);
    await writeFile(join(folder, "users"), `ann:${await hashed("another secret", 4)}\n${users[1] ?? ""}`);
    await until("the token to end", async () => (await statusOf(token)) === 401);
    await writeFile(join(folder, "users"), users.join(""));
    await until("the token to be good again", async () => (await statusOf(token)) === 404);
  });

  it("ends the tokens of an account that is removed", async () => {
    const { access_token: token } = given(await get("scope=repository:team/none:pull", basic("ann")));
    expect(await statusOf(token)).to.equal(404);
    await writeFile(join(folder, "users"), users[1] ?? "");
    await until("the token to end", async () => (await statusOf(token)) === 401);
    await writeFile(join(folder, "users"), users.join(""));
  }).timeout(30_000);
});

describe("the keys of tokens", () => {
  it("are the same for all who work on a store, whoever was first", async () => {
    const driver = openMemory();
    const open = () => new StoredTokenKeys({ driver, documents: new Documents(driver) });
    const several = Array.from({ length: 5 }, open);
    const tokens = several.map((keys) => new Tokens({ keys, service: "r" }));
    const issued = await Promise.all(
      tokens.map(async (each) => await each.issue("access", { subject: "ann", scopes: [] }, 60)),
    );
    await new Tokens({ keys: open(), service: "r" }).issue("access", { subject: "ann", scopes: [] }, 60);
    for (const reader of [...tokens, new Tokens({ keys: open(), service: "r" })]) {
      for (const token of issued) {
        await until("the token to be believed", async () => (await reader.read("access", token))?.subject === "ann");
      }
    }
  });

  it("can be read on a disk by who runs the registry alone", async () => {
    const folder = await temporaryFolder();
    try {
      const driver = await openLocal(folder);
      await new StoredTokenKeys({ driver, documents: new Documents(driver) }).signing();
      expect((await stat(join(folder, "_registryctl/keys/token"))).mode & 0o777).to.equal(0o700);
      await driver.close();
    } finally {
      await removeFolder(folder);
    }
  });
});
