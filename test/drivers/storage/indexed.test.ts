import { expect } from "chai";
import { indexed, type Index } from "../../../src/drivers/storage/indexed.ts";
import { compareKeys } from "../../../src/drivers/storage/key-order.ts";
import { keysOf, outcome, put, rejection, source, textOf } from "../../support/storage-content.ts";

/** The least that a database may be. The driver of docs/, which is of the same making, passes the suite. */
function openIndex(): Index {
  const texts = new Map<string, string>();
  const contents = new Map<string, Buffer>();
  return {
    name: "a test",
    append: async (id, bytes) => {
      const content = Buffer.concat([contents.get(id) ?? Buffer.alloc(0), bytes]);
      contents.set(id, content);
      return await Promise.resolve(content.length);
    },
    slice: async (id, start, end) => await Promise.resolve(contents.get(id)?.subarray(start, end) ?? Buffer.alloc(0)),
    texts: async (keys) => await Promise.resolve(keys.map((key) => texts.get(key))),
    replace: async (key, text) => await Promise.resolve(text === undefined ? texts.delete(key) : texts.set(key, text)),
    keys: async (after, before, limit) => {
      const isWithin = (key: string): boolean =>
        compareKeys(key, after) > 0 && (before === undefined || compareKeys(key, before) < 0);
      return await Promise.resolve([...texts.keys()].sort(compareKeys).filter(isWithin).slice(0, limit));
    },
    close: async () => {
      await Promise.resolve();
    },
  };
}

describe("a database as a storage", () => {
  const failing = (method: keyof Index): Index => ({
    ...openIndex(),
    [method]: async () => await Promise.reject(new Error("connection lost")),
  });

  it("writes nothing whose content was cleaned away while it came", async () => {
    const driver = indexed({ ...openIndex(), append: async (_id, bytes) => await Promise.resolve(bytes.length) });
    expect(await outcome(driver.write("key", source("one", "two")))).to.equal("UNAVAILABLE");
    expect(await outcome(driver.stat("key"))).to.equal("NOT_FOUND");
  });

  it("is UNAVAILABLE whichever call fails, and says whose failure it is", async () => {
    for (const method of ["append", "replace"] as const) {
      const driver = indexed(failing(method));
      expect(await outcome(put(driver, "key", "content")), method).to.equal("UNAVAILABLE");
      expect(await outcome(driver.stat("key"))).to.equal("NOT_FOUND");
    }
    const driver = indexed(failing("texts"));
    for (const work of [driver.stat("key"), driver.read("key"), driver.copy("key", "other")]) {
      expect(String(await rejection(work))).to.contain("a test: connection lost");
    }
    expect(await outcome(keysOf(indexed(failing("keys")), ""))).to.equal("UNAVAILABLE");
    expect(await outcome(indexed(failing("keys")).ping())).to.equal("UNAVAILABLE");
    const broken = indexed(failing("slice"));
    await put(broken, "key", "content");
    expect(await outcome(textOf(broken, "key"))).to.equal("UNAVAILABLE");
  });
});
