import { generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { ControlledAccess } from "../../../src/server/access/controlled.ts";
import { Rules } from "../../../src/server/access/rules.ts";
import { operatorKey } from "../../../src/server/access/token-keys.ts";
import { Tokens } from "../../../src/server/access/tokens.ts";
import { openAccounts, type Accounts } from "../../../src/server/accounts/accounts.ts";
import { Attempts } from "../../../src/server/accounts/attempts.ts";
import { keyHash, newKey } from "../../../src/server/accounts/api-key.ts";
import { KeyStore } from "../../../src/server/accounts/key-store.ts";
import { hashed } from "../../../src/server/accounts/password-hash.ts";
import { clientBehind } from "../../../src/server/http/proxy.ts";
import { RegistryError } from "../../../src/server/errors.ts";
import { basic } from "../../support/guarded-registry.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";

describe("who is known at once", function () {
  this.timeout(180_000);
  let folder: string;
  let driver: StorageDriver;
  let accounts: Accounts;
  let tokens: Tokens;
  let access: ControlledAccess;
  let users: readonly string[];
  const socket = new Socket();

  before(async () => {
    folder = await temporaryFolder("known");
    users = await Promise.all(["ann", "bob"].map(async (name) => `${name}:${await hashed(`${name}-secret`, 4)}\n`));
  });
  beforeEach(async () => {
    await writeUsers(users.join(""));
    driver = openMemory();
    const log = { error: () => undefined };
    accounts = await openAccounts({ htpasswd: "users" }, { folder, driver, log, attempts: new Attempts() });
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    tokens = new Tokens({ keys: await operatorKey(privateKey), service: "registry" });
    access = new ControlledAccess({
      rules: new Rules([{ who: ["*"], repositories: ["team/*"], actions: ["pull"] }]),
      accounts,
      tokens,
      foreignTokens: undefined,
      source: { service: "registry" },
      publicUrl: undefined,
      clientOf: clientBehind([]),
      certificates: false,
    });
  });
  afterEach(async () => {
    await accounts.close();
  });
  after(async () => {
    await removeFolder(folder);
  });

  const writeUsers = async (text: string): Promise<void> => {
    await writeFile(join(folder, "users"), text);
  };
  const request = (headers: Record<string, string>, path = "/v2/team/app/manifests/v1") => {
    return { method: "GET", path, headers: lowered(headers), socket };
  };
  const known = (headers: Record<string, string>) => access.known(request(headers))?.name;
  const identify = async (headers: Record<string, string>, path?: string): Promise<string> => {
    try {
      return (await access.identify(request(headers, path))).name;
    } catch (error) {
      return error instanceof RegistryError ? error.code : String(error);
    }
  };
  /** Known from the second time on, until `end`. */
  const ends = async (headers: Record<string, string>, end: () => Promise<void>): Promise<void> => {
    expect(known(headers)).to.equal(undefined);
    expect(await identify(headers)).to.equal("ann");
    await until("ann to be known", async () => (await identify(headers)) === "ann" && known(headers) === "ann");
    await end();
    await until("ann to be nobody", async () => (await identify(headers)) === "UNAUTHORIZED");
    expect(known(headers)).to.equal(undefined);
  };
  const bearer = async (key?: string) => {
    const scopes = [{ type: "repository", name: "team/app", actions: ["pull"] }];
    const content = { subject: "ann", scopes, stamp: await accounts.stamp("ann"), key };
    return { Authorization: `Bearer ${await tokens.issue("access", content, 60)}` };
  };
  const given = async () => {
    const { id, key } = newKey();
    const limits = { repositories: ["team/*"], actions: ["pull" as const], expires: undefined, description: undefined };
    await new KeyStore(driver).add({ id, name: "ann", hash: keyHash(key), created: new Date(), ...limits });
    return { id, key };
  };
  const another = async () => {
    await writeUsers(`ann:${await hashed("another secret", 4)}\n`);
  };

  it("are those who have shown their password a moment ago, and nobody else", async () => {
    expect(await identify(basic("ann"))).to.equal("ann");
    expect(known(basic("ann"))).to.equal("ann");
    for (const headers of [basic("ann", "wrong"), basic("bob"), basic("bob", "ann-secret"), basic("", "ann-secret")]) {
      expect(known(headers)).to.equal(undefined);
    }
    expect(await identify(basic("ann", "wrong"))).to.equal("UNAUTHORIZED");
    expect(known(basic("ann", "wrong"))).to.equal(undefined);
    const caller = access.known(request(basic("ann")));
    expect([caller?.may("pull", "team/app"), caller?.may("push", "team/app")]).to.deep.equal([true, false]);
  });

  it("are those whose account is as it was, whatever they have shown", async () => {
    const tokenOfAnn = await bearer();
    const credentials = [basic("ann"), tokenOfAnn];
    for (const headers of credentials) {
      await ends(headers, another);
      await writeUsers(users.join(""));
      await until("ann to be back", async () => (await identify(headers)) === "ann");
    }
  });

  it("are no longer those whose account is removed, and who have lost their API key", async () => {
    await ends(await bearer(), async () => {
      await writeUsers(users[1] ?? "");
    });
    await writeUsers(users.join(""));
    const first = await given();
    await until("ann to be back", async () => (await identify(basic("ann"))) === "ann");
    await ends(basic("ann", first.key), async () => {
      await new KeyStore(driver).remove(first.id);
    });
    const second = await given();
    await ends(await bearer(second.id), async () => {
      await new KeyStore(driver).remove(second.id);
    });
  });

  it("are known by a token of V1, at V1 alone, whatever else its header says", async () => {
    const content = { subject: "ann", scopes: [{ type: "repository", name: "team/app", actions: ["pull"] }] };
    const signature = await tokens.issue("v1", content, 60);
    const token = (repository: string, more = "") => {
      return { Authorization: `Token signature=${signature},repository="${repository}"${more}` };
    };
    const path = "/v1/repositories/team/app/tags";
    for (const more of ["", ",junk=1", ",access=write"]) {
      expect(await identify(token("team/app", more), path)).to.equal("ann");
    }
    expect(await identify(token("team/other"), path)).to.equal("UNAUTHORIZED");
    expect(await identify({ Authorization: `Bearer ${signature}` }, path)).to.equal("UNAUTHORIZED");
    expect(await identify(token("team/app"))).to.equal("UNAUTHORIZED");
  });
});

function lowered(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
