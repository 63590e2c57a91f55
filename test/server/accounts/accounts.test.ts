import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { openAccounts, type Accounts } from "../../../src/server/accounts/accounts.ts";
import { AccountFiles, type AccountSettings } from "../../../src/server/accounts/account-files.ts";
import { keyHash, newKey } from "../../../src/server/accounts/api-key.ts";
import { Attempts, type Allowances } from "../../../src/server/accounts/attempts.ts";
import { FileAccounts } from "../../../src/server/accounts/file-accounts.ts";
import { Hashing } from "../../../src/server/accounts/hashing.ts";
import { KeyStore, type StoredKey } from "../../../src/server/accounts/key-store.ts";
import { hashed } from "../../../src/server/accounts/password-hash.ts";
import { RegistryError } from "../../../src/server/errors.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";

const here = "127.0.0.1";

describe("accounts", function () {
  this.timeout(180_000);
  let folder: string;
  let driver: StorageDriver;
  let accounts: Accounts;
  let hashes: Readonly<Record<"ann" | "bob", string>>;
  const faults: string[] = [];
  // One for all: it takes long to start.
  const hashing = new Hashing();
  after(async () => {
    await hashing.close();
  });
  before(async () => {
    hashes = { ann: await hashed("anns password", 6), bob: await hashed("bobs password", 4) };
  });
  beforeEach(async () => {
    folder = await temporaryFolder();
    driver = openMemory();
    faults.length = 0;
    await writeUsers(`ann:${hashes.ann}\nbob:${hashes.bob}\n`);
    accounts = await open({ htpasswd: "users", groups: { dev: ["bob", "ann"], ops: ["ann"] } });
  });
  afterEach(async () => {
    await removeFolder(folder);
  });
  const writeUsers = async (text: string): Promise<void> => {
    await writeFile(join(folder, "users"), text);
  };
  const open = async (settings: AccountSettings, allowances?: Allowances): Promise<Accounts> => {
    const onFault = ({ message, cause }: Error): void => {
      faults.push(`${message}: ${(cause as Error).message}`);
    };
    const files = await AccountFiles.open(settings, { folder, onFault, interval: 20 });
    const path = join(folder, settings.htpasswd);
    const keys = new KeyStore(driver, 20);
    return new FileAccounts({ path, files, keys, hashing, attempts: new Attempts(allowances, () => 0) });
  };
  const codeOf = async (promise: Promise<unknown>): Promise<unknown> =>
    await promise.then(
      (account) => (account === undefined ? "nobody" : "somebody"),
      (error: unknown) => (error instanceof RegistryError ? error.code : error),
    );
  const rejection = async (promise: Promise<unknown>): Promise<string> =>
    await promise.then(
      () => "",
      (error: unknown) => {
        const { message, cause } = error as Error;
        return `${message}: ${cause instanceof Error ? cause.message : ""}`;
      },
    );

  it("are found by name and password, with their groups", async () => {
    expect(await accounts.verify("ann", "anns password", here)).to.deep.equal({ name: "ann", groups: ["dev", "ops"] });
    expect(await accounts.verify("bob", "bobs password", here)).to.deep.equal({ name: "bob", groups: ["dev"] });
    expect(await accounts.find("bob")).to.deep.equal({ name: "bob", groups: ["dev"] });
    expect(await accounts.find("eve")).to.equal(undefined);
    for (const [name, password] of [
      ["ann", "bobs password"],
      ["eve", "anns password"],
      ["", ""],
      ["ann", ""],
      ["Ann", "anns password"],
      ["ann", hashes.ann],
      ["ann", "anns password\0"],
      ["ann", "x".repeat(5000)],
      ["__proto__", "x"],
    ] as const) {
      expect(await accounts.verify(name, password, here), `${name}:${password}`).to.equal(undefined);
    }
  });

  it("are opened as the server opens them, and closed", async () => {
    const log: object[] = [];
    const opened = await openAccounts(
      { htpasswd: "users" },
      { folder, driver, attempts: new Attempts(), log: { error: (facts) => log.push(facts) } },
    );
    expect(await opened.verify("bob", "bobs password", here)).to.deep.equal({ name: "bob", groups: [] });
    await writeUsers("nonsense");
    await until("the fault", async () => (await opened.find("bob")) && log.length > 0);
    const running = rejection(opened.verify("bob", "wrong password", here));
    await opened.close();
    expect(await running).to.contain("passwords");
  });

  it("are checked while the event loop goes on", async () => {
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    let passwords = 0;
    // A busy machine may stop this thread just while the other one hashes.
    await until("others to have their turn meanwhile", async () => {
      turns = 0;
      await accounts.verify("eve", `password ${++passwords}`, here);
      return turns > 10;
    });
    isOver = true;
  });

  it("are those of the file as it is now, changed in place or replaced", async () => {
    await writeUsers(`ann:${hashes.bob}\n`);
    await until("the new password", async () => await accounts.verify("ann", "bobs password", here));
    expect(await accounts.verify("ann", "anns password", here)).to.equal(undefined);
    expect(await accounts.find("bob")).to.equal(undefined);
    await writeFile(join(folder, "other"), `bob:${hashes.bob}\n`);
    await rename(join(folder, "other"), join(folder, "users"));
    await until("the new file", async () => await accounts.find("bob"));
    expect(await accounts.verify("ann", "bobs password", here)).to.equal(undefined);
    expect(faults).to.deep.equal([]);
  });

  it("stay as they were while the file can't be used, which is told once", async () => {
    await writeUsers(`ann:${hashes.ann}\nbob:${hashes.bob}\neve:secret\n`);
    await until("the fault", async () => (await accounts.find("ann")) && faults.length > 0);
    expect(await accounts.verify("bob", "bobs password", here)).not.to.equal(undefined);
    expect(faults).to.have.length(1);
    expect(faults[0]).to.contain(join(folder, "users")).and.contain("line 3 eve has").and.not.contain("secret");
    await rm(join(folder, "users"));
    await until("the other fault", async () => (await accounts.find("ann")) && faults.length > 1);
    expect(faults[1]).to.contain("ENOENT");
    await writeUsers(`ann:${hashes.ann}\n`);
    await until("the file", async () => (await accounts.find("bob")) === undefined);
    expect(faults).to.have.length(2);
  });

  it("are not opened with a file that can't be used", async () => {
    expect(await rejection(open({ htpasswd: "missing" })))
      .to.contain("auth.htpasswd")
      .and.contain("ENOENT");
    await writeUsers(`ann:${hashes.ann}\nbob\n`);
    expect(await rejection(open({ htpasswd: "users" }))).to.contain("line 2 is not of the form name:hash");
    await writeUsers("");
    await writeFile(join(folder, "groups"), "dev: ann\nops\n");
    const groups = await rejection(open({ htpasswd: "users", groups: "groups" }));
    expect(groups).to.contain("auth.groups").and.contain("line 2 is not of the form group: user user");
  });

  it("have the groups of a group file, as it is now", async () => {
    await writeFile(join(folder, "groups"), "dev: ann\n");
    const grouped = await open({ htpasswd: "users", groups: "groups" });
    expect((await grouped.find("ann"))?.groups).to.deep.equal(["dev"]);
    await writeFile(join(folder, "groups"), "ops: ann bob\n");
    await until("the new groups", async () => (await grouped.find("ann"))?.groups.includes("ops"));
    expect((await grouped.verify("bob", "bobs password", here))?.groups).to.deep.equal(["ops"]);
  });

  it("can be made, when name and password will do and nobody is called so", async () => {
    await accounts.create("carl", "carls password", here);
    expect(await accounts.verify("carl", "carls password", here)).to.deep.equal({ name: "carl", groups: [] });
    expect(await codeOf(accounts.create("carl", "another password", here))).to.equal("ACCOUNT_EXISTS");
    for (const [name, password] of [
      ["a:b", "long enough"],
      ["", "long enough"],
      ["anonymous", "long enough"],
      ["dora", "short"],
      ["dora", "x".repeat(73)],
      ["dora", "line\nline\nline"],
      ["dora", newKey().key],
    ] as const) {
      expect(await codeOf(accounts.create(name, password, here)), name).to.equal("DATA_INVALID");
    }
    expect(await accounts.verify("ann", "anns password", here)).not.to.equal(undefined);
  });

  it("can't be made without end from one address", async () => {
    const allowances = {
      pair: { burst: 9, seconds: 9 },
      address: { burst: 1, seconds: 60 },
      account: { burst: 9, seconds: 9 },
    };
    const few = await open({ htpasswd: "users" }, allowances);
    expect(await codeOf(few.create("carl", "carls password", here))).to.equal("nobody");
    expect(await codeOf(few.create("dora", "doras password", here))).to.equal("TOOMANYREQUESTS");
    expect(await codeOf(few.create("carl", "carls password", here))).to.equal("ACCOUNT_EXISTS");
    expect(await codeOf(few.create("dora", "doras password", "10.0.0.1"))).to.equal("nobody");
    expect(await codeOf(few.verify("dora", "doras password", "10.0.0.2"))).to.equal("somebody");
  });

  describe("that are attacked", () => {
    const guess = async (name: string, address: string, times: number): Promise<Record<string, number>> => {
      const codes = await Promise.all(
        Array.from({ length: times }, (_, i) => codeOf(accounts.verify(name, `guess ${name} ${i}`, address))),
      );
      return count(codes);
    };
    const count = (codes: readonly unknown[]): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (const code of codes) counts[String(code)] = (counts[String(code)] ?? 0) + 1;
      return counts;
    };

    it("are slow to those who guess, and let their users in", async () => {
      expect(await guess("ann", "10.0.0.1", 100)).to.deep.equal({ nobody: 10, TOOMANYREQUESTS: 90 });
      // Of accounts that there are not, one sees the same.
      expect(await guess("eve", "10.0.0.2", 100)).to.deep.equal({ nobody: 10, TOOMANYREQUESTS: 90 });
      expect(await codeOf(accounts.verify("ann", "anns password", "10.0.0.1"))).to.equal("TOOMANYREQUESTS");
      expect(await codeOf(accounts.verify("ann", "anns password", here))).to.equal("somebody");
      expect(await codeOf(accounts.verify("bob", "bobs password", "10.0.0.1"))).to.equal("somebody");
    });

    it("do not count the same wrong password again, nor right ones", async () => {
      const same = Array.from({ length: 1000 }, () => codeOf(accounts.verify("ann", "an old password", here)));
      expect(count(await Promise.all(same))).to.deep.equal({ nobody: 1000 });
      for (let i = 0; i < 50; i++) {
        expect(await codeOf(accounts.verify("ann", "an old password", here))).to.equal("nobody");
        expect(await codeOf(accounts.verify("ann", "anns password", here))).to.equal("somebody");
      }
    });

    it("let in who was found right a moment ago, beside those who guess", async () => {
      expect(await codeOf(accounts.verify("ann", "anns password", here))).to.equal("somebody");
      expect(await guess("ann", here, 20)).to.deep.equal({ nobody: 10, TOOMANYREQUESTS: 10 });
      expect(await codeOf(accounts.verify("ann", "anns password", here))).to.equal("somebody");
      expect(await codeOf(accounts.verify("ann", "another guess", here))).to.equal("TOOMANYREQUESTS");
    });

    it("turn away what is more than can be hashed, but not those who have logged in before", async () => {
      await accounts.verify("ann", "anns password", here);
      const flood = Promise.all(
        Array.from({ length: 500 }, (_, i) => codeOf(accounts.verify(`user${i}`, `guess ${i}`, `10.1.${i}.1`))),
      );
      expect(await codeOf(accounts.verify("ann", "wrong at first", here))).to.equal("nobody");
      expect(await codeOf(accounts.verify("ann", "anns password", here))).to.equal("somebody");
      const codes = count(await flood);
      expect(codes["TOOMANYREQUESTS"]).to.be.greaterThan(400);
      expect(codes["nobody"]).to.be.greaterThan(30);
    });
  });

  describe("with API keys", () => {
    const given = async (changes: Partial<StoredKey> = {}): Promise<string> => {
      const { id, key } = newKey();
      await new KeyStore(driver).add({
        ...{ id, name: "ann", hash: keyHash(key), repositories: ["team/*"], actions: ["pull"], created: new Date() },
        ...{ expires: undefined, description: undefined, ...changes },
      });
      return key;
    };

    it("let in who has one, with its limits", async () => {
      const key = await given({ expires: new Date(Date.now() + 3_600_000) });
      const account = await accounts.verify("ann", key, here);
      expect(account).to.deep.equal({
        ...{ name: "ann", groups: ["dev", "ops"] },
        key: { id: key.slice(5, 15), repositories: ["team/*"], actions: ["pull"] },
      });
      expect(await accounts.verify("ann", "anns password", here)).not.to.have.property("key");
    });

    it("refuse those that are of others, expired, removed or invented", async () => {
      const key = await given();
      expect(await codeOf(accounts.verify("bob", key, here))).to.equal("nobody");
      expect(await codeOf(accounts.verify("ann", newKey().key, here))).to.equal("nobody");
      expect(
        await codeOf(accounts.verify("ann", `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`, here)),
      ).to.equal("nobody");
      const expired = await given({ expires: new Date(Date.now() - 1) });
      expect(await codeOf(accounts.verify("ann", expired, here))).to.equal("nobody");
      const nobodys = await given({ name: "eve" });
      expect(await codeOf(accounts.verify("eve", nobodys, here))).to.equal("nobody");
      expect(await codeOf(accounts.verify("ann", key, here))).to.equal("somebody");
      const id = key.slice(5, 15);
      expect(await accounts.find("ann", id)).to.have.nested.property("key.id", id);
      expect(await accounts.find("bob", id)).to.equal(undefined);
      await new KeyStore(driver).remove(id);
      await until("the key to be worth nothing", async () => (await accounts.verify("ann", key, here)) === undefined);
      expect(await accounts.find("ann", id)).to.equal(undefined);
    });

    it("are not those of somebody who has the name later", async () => {
      const key = await given({ name: "carl" });
      await accounts.create("carl", "carls password", here);
      expect(await codeOf(accounts.verify("carl", key, here))).to.equal("nobody");
    });

    it("count as failed logins when they are wrong", async () => {
      const keys = Array.from({ length: 20 }, () => newKey().key);
      const codes = await Promise.all(keys.map((key) => codeOf(accounts.verify("ann", key, here))));
      expect(codes.filter((code) => code === "TOOMANYREQUESTS")).to.have.length(10);
    });
  });
});
