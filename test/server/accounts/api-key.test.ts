import { expect } from "chai";
import { isKey, keyHash, keyId, looksLikeKey, newKey } from "../../../src/server/accounts/api-key.ts";
import { KeyStore, type StoredKey } from "../../../src/server/accounts/key-store.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { sourceOf } from "../../../src/drivers/storage/source-of.ts";

describe("an API key", () => {
  it("has a form that tells it from everything else", () => {
    const keys = Array.from({ length: 200 }, () => newKey());
    expect(new Set(keys.map(({ key }) => key)).size).to.equal(200);
    for (const { id, key } of keys) {
      expect(key).to.match(/^rctl_[0-9A-Za-z]{59}$/);
      expect(keyId(key)).to.equal(id);
      expect(looksLikeKey(key)).to.equal(true);
    }
  });

  it("is none when a character is not right", () => {
    const { key } = newKey();
    for (let i = 0; i < key.length; i++) {
      const other = key.slice(0, i) + (key[i] === "x" ? "y" : "x") + key.slice(i + 1);
      expect(keyId(other), other).to.equal(undefined);
    }
    for (const other of ["", "rctl_", key.slice(0, -1), `${key}0`, ` ${key}`, key.toUpperCase()]) {
      expect(keyId(other), other).to.equal(undefined);
    }
  });

  it("is known by its hash alone", () => {
    const { key } = newKey();
    expect(isKey(key, keyHash(key))).to.equal(true);
    expect(isKey(newKey().key, keyHash(key))).to.equal(false);
    expect(isKey(key, "")).to.equal(false);
    expect(keyHash(key)).not.to.contain(key.slice(15, 30));
  });
});

describe("the store of API keys", () => {
  const record = (id: string, name: string): StoredKey => ({
    ...{ id, name, hash: "00", repositories: ["team/*"], actions: ["pull"], created: new Date(1e12) },
    ...{ expires: undefined, description: undefined },
  });
  const listed = async (store: KeyStore): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of store.list()) ids.push(id);
    return ids;
  };

  it("gives back what was put in, in every server of the store", async () => {
    const driver = openMemory();
    const key = { ...record("a", "ann"), expires: new Date(2e12), description: "for CI" };
    await new KeyStore(driver).add(key);
    await new KeyStore(driver).add(record("b", "bob"));
    expect(await new KeyStore(driver).find("a")).to.deep.equal(key);
    expect(await new KeyStore(driver).find("b")).to.deep.equal(record("b", "bob"));
    expect(await new KeyStore(driver).find("c")).to.equal(undefined);
    expect(await listed(new KeyStore(driver))).to.deep.equal(["a", "b"]);
  });

  it("forgets what is removed, here at once and elsewhere soon", async () => {
    const driver = openMemory();
    const [here, elsewhere] = [new KeyStore(driver), new KeyStore(driver, 1)];
    for (const id of ["a", "b"]) await here.add(record(id, "ann"));
    expect((await here.find("a")) && (await elsewhere.find("a"))).not.to.equal(undefined);
    expect(await here.remove("a")).to.equal(true);
    expect(await here.remove("a")).to.equal(false);
    expect(await here.find("a")).to.equal(undefined);
    while ((await elsewhere.find("a")) !== undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    await here.add(record("c", "bob"));
    expect(await here.removeOf("ann")).to.equal(1);
    expect(await listed(here)).to.deep.equal(["c"]);
  });

  it("lets nobody in by what it does not understand", async () => {
    const driver = openMemory();
    const whole = {
      name: "ann",
      hash: "00",
      repositories: ["*"],
      actions: ["pull"],
      created: new Date().toISOString(),
    };
    for (const [id, text] of Object.entries({
      half: JSON.stringify(whole).slice(0, 40),
      list: "[]",
      nobody: JSON.stringify({ ...whole, name: undefined }),
      expiry: JSON.stringify({ ...whole, expires: "soon" }),
      actions: JSON.stringify({ ...whole, actions: "all" }),
    })) {
      await driver.write(`_registryctl/keys/accounts/${id}`, sourceOf(Buffer.from(text)));
    }
    expect(await listed(new KeyStore(driver))).to.deep.equal([]);
    for (const id of ["half", "list", "nobody", "expiry", "actions"]) {
      expect(await new KeyStore(driver).find(id), id).to.equal(undefined);
    }
  });
});
