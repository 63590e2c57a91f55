import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { hashed } from "../../../src/server/accounts/password-hash.ts";
import type { SettingsInput } from "../../../src/server/config/schema.ts";
import { basic } from "../../support/guarded-registry.ts";
import { imageManifest, pushManifest } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { smallChain } from "../../support/v1-images.ts";

describe("the audit log", function () {
  this.timeout(180_000);
  let folder: string;
  const servers: RegistryServer[] = [];
  before(async () => {
    folder = await temporaryFolder("audit");
    const lines = ["ann", "bob"].map(async (name) => `${name}:${await hashed(`${name}-secret`, 4)}\n`);
    await writeFile(join(folder, "users"), (await Promise.all(lines)).join(""));
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });
  after(async () => {
    await removeFolder(folder);
  });

  const start = async (auth: object = {}, settings: Partial<SettingsInput> = {}): Promise<RegistryServer> => {
    const rules = [
      { who: ["ann"], repositories: ["*"], actions: ["all" as const] },
      { who: ["bob"], repositories: ["bob/*"], actions: ["all" as const] },
    ];
    const server = await startRegistry({ auth: { htpasswd: join(folder, "users"), rules, ...auth }, ...settings });
    servers.push(server);
    return server;
  };
  type Line = Readonly<Record<string, unknown>>;
  const parsed = (texts: readonly string[]): readonly Line[] =>
    texts.filter((text) => text.includes('"audit":true')).map((text) => JSON.parse(text) as Line);
  const told = ({ user, action, outcome, status, level }: Line) => [user, action, outcome, status, level].join(" ");
  const file = () => join(folder, "audit.log");
  const fromFile = async () => parsed((await readFile(file(), "utf8")).split("\n"));

  it("has every denied and every changing request, whatever the log leaves out", async () => {
    const server = await start({}, { loglevel: "critical" });
    const ann = server.connect({ basic: "ann:ann-secret" });
    await pushManifest(ann, "team/app", "v1", await imageManifest(ann, "team/app", "audited"));
    for (const headers of [{}, basic("ann", "wrong"), basic("bob")]) {
      await server.client.send("GET", "/v2/team/app/tags/list", { headers });
    }
    await ann.send("GET", "/v2/team/app/tags/list");
    await ann.send("DELETE", "/v2/team/app/manifests/v1");
    await until("the last line", () => server.log.some((line) => line.includes('"delete"')));
    expect(parsed(server.log).map(told).slice(-5)).to.deep.equal([
      "ann push done 201 info",
      "anonymous pull denied 401 warn",
      "ann pull denied 401 warn",
      "bob pull denied 403 warn",
      "ann delete done 202 info",
    ]);
    expect(server.log).to.have.length(parsed(server.log).length);
  });

  it("tells who looked for an image of V1 that is others', and not who asks whether to push one", async () => {
    const server = await start();
    const images = await smallChain(1);
    await server.connect({ basic: "ann:ann-secret" }).push("team/app", "v1", images);
    const ask = async (name: string, id: string) =>
      (await server.client.send("GET", `/v1/images/${id}/json`, { headers: basic(name) })).status;
    const notes = server.log.length;
    expect(await ask("bob", images[0]!.id)).to.equal(404);
    expect(await ask("bob", "0".repeat(64))).to.equal(404);
    expect(await ask("ann", images[0]!.id)).to.equal(200);
    await until("the log", () => server.log.slice(notes).filter((line) => line.includes("/json 200")).length > 0);
    const [denied, ...others] = parsed(server.log.slice(notes));
    expect(denied).to.include({
      user: "bob",
      action: "pull",
      outcome: "denied",
      status: 404,
      reference: images[0]!.id,
    });
    expect(others).to.deep.equal([]);
  });

  it("has accounts that somebody makes", async () => {
    await writeFile(join(folder, "signup"), "");
    const server = await start({ htpasswd: join(folder, "signup"), signup: true });
    const signUp = async (username: string) =>
      await server.client.send("POST", "/v1/users/", {
        headers: { "Content-Type": "application/json" },
        body: Buffer.from(JSON.stringify({ username, password: "long enough", email: "x@example.com" })),
      });
    expect((await signUp("carl")).status).to.equal(201);
    expect((await signUp("carl")).status).to.equal(400);
    await until("both lines", () => parsed(server.log).length > 1);
    expect(parsed(server.log).map(told)).to.deep.equal(["carl signup done 201 info", "carl signup failed 400 info"]);
    const { status } = await server.client.send("GET", "/v1/users/", { headers: basic("carl", "long enough") });
    expect(status).to.equal(200);
    expect(server.log.join("")).not.to.contain("long enough");
  });

  it("goes to a file of its own, which is its owner's and may be moved away", async () => {
    const server = await start({ audit_log: file() });
    const guess = async (name: string) =>
      await server.client.send("GET", "/v2/_catalog", { headers: basic(name, "wrong") });
    await guess("carl");
    await until("the line", async () => (await fromFile()).length > 0);
    expect((await fromFile()).map(told)).to.deep.equal(["carl list denied 401 warn"]);
    expect((await stat(file())).mode & 0o777).to.equal(0o600);
    expect(parsed(server.log)).to.deep.equal([]);
    await rename(file(), `${file()}.1`);
    await until("a new file", async () => {
      await guess("dora");
      return (await stat(file()).catch(() => undefined)) !== undefined;
    });
    expect((await fromFile()).map(told)).to.include("dora list denied 401 warn");
  });

  it("is in the log as long as its file can't be written to, and must be there at the start", async () => {
    const server = await start({ audit_log: "/dev/full" });
    await server.client.send("GET", "/v2/_catalog");
    await until("the fault", () => server.log.some((line) => line.includes("can't be written to")));
    const fault = server.log.find((line) => line.includes("can't be written to")) ?? "";
    expect(fault).to.contain("ENOSPC").and.contain("anonymous list denied");
    let reason: unknown;
    await start({ audit_log: join(folder, "missing/audit.log") }).catch((error: unknown) => (reason = error));
    expect(String(reason)).to.contain("auth.audit_log");
  });
});
