import { expect } from "chai";
import { checked } from "../../../src/drivers/storage/checked.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { first, outcome, put, rejection, source, textOf } from "../../support/storage-content.ts";

describe("checked storage", () => {
  const invalid = ["", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "../a", "a/..", "a\0b", "\ud800", "a/\udc00b", "x".repeat(256), `a/${"é".repeat(128)}/b`]; // prettier-ignore
  const valid = ["a", "a/b", "...", ".a", "a/..b", "a b", "\u{1f600}", "x".repeat(255), "é".repeat(127), "a\\..\\b"];

  it("rejects keys that not every driver could store, in every operation", async () => {
    const driver = checked(openMemory());
    await put(driver, "good", "x");
    for (const key of invalid) {
      const attempts: readonly (() => Promise<unknown>)[] = [
        () => driver.read(key),
        () => driver.write(key, source("x")),
        () => driver.stat(key),
        () => driver.move("good", key),
        () => driver.move(key, "good"),
        () => driver.copy("good", key),
        () => driver.copy(key, "good"),
        () => driver.link("good", key),
        () => driver.link(key, "good"),
        () => driver.delete(key),
        () => driver.redirectUrl(key, { seconds: 1 }),
        () => first(driver.list(key === "" ? "/" : key)),
        () => first(driver.children(key === "" ? "/" : key)),
      ];
      for (const attempt of attempts) expect(await outcome(attempt()), JSON.stringify(key)).to.equal("INVALID_KEY");
      expect(() => driver.localPath(key))
        .to.throw()
        .with.property("code", "INVALID_KEY");
    }
    expect(await textOf(driver, "good")).to.equal("x");
  });

  it("lets all others through", async () => {
    const driver = checked(openMemory());
    for (const key of valid) {
      await put(driver, key, key);
      expect(await textOf(driver, key)).to.equal(key);
    }
  });

  it("says what is wrong with the key", async () => {
    const driver = checked(openMemory());
    expect(String(await rejection(driver.stat("a/../b")))).to.contain('"a/../b" is no key: a component is ".."');
  });
});
