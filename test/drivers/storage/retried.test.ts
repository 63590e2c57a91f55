import { expect } from "chai";
import { DriverError } from "../../../src/drivers/storage/errors.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { retried, type Retries } from "../../../src/drivers/storage/retried.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { failing, type Fault, type Operation } from "../../support/failing-driver.ts";
import {
  bytesOf,
  exists,
  keysOf,
  namesOf,
  outcome,
  put,
  rejection,
  source,
  textOf,
} from "../../support/storage-content.ts";

const waits: number[] = [];
const retries: Retries = {
  attempts: 3,
  delay: 100,
  longest: 150,
  wait: async (milliseconds) => {
    await Promise.resolve();
    waits.push(milliseconds);
  },
};

async function filled(): Promise<StorageDriver> {
  const driver = openMemory();
  for (const key of ["a/1", "a/2", "a/3"]) await put(driver, key, key);
  return driver;
}

/** The store with the first `times` calls of `operation` failing. */
async function flaky(operation: Operation, times: number, fault: Partial<Fault> = {}): Promise<StorageDriver> {
  let driver = await filled();
  // Each fault counts only the calls that the ones around it let through.
  for (let time = 0; time < times; time++) driver = failing(driver, { operation, nth: 1, when: "before", ...fault });
  return retried(driver, retries);
}

describe("retried storage", () => {
  beforeEach(() => (waits.length = 0));

  it("tries again what may be done twice, as often as it should", async () => {
    expect(await textOf(await flaky("read", 2), "a/1")).to.equal("a/1");
    expect((await (await flaky("stat", 2)).stat("a/1")).size).to.equal(3);
    expect(await namesOf(await flaky("children", 2), "a")).to.deep.equal(["1", "2", "3"]);
    expect(await keysOf(await flaky("list", 2, { when: "after" }), "a")).to.deep.equal(["a/1", "a/2", "a/3"]);
    const copied = await flaky("copy", 2, { when: "after" });
    await copied.copy("a/1", "b");
    expect(await textOf(copied, "b")).to.equal("a/1");
    const deleted = await flaky("delete", 2, { when: "after" });
    await deleted.delete("a/1");
    expect(await exists(deleted, "a/1")).to.be.false;
  });

  it("gives up in the end, with the backend's error", async () => {
    expect(await outcome((await flaky("stat", 3)).stat("a/1"))).to.equal("UNAVAILABLE");
    expect(waits).to.have.length(2);
  });

  it("waits longer each time, but not longer than it should, and never as long as others", async () => {
    const patient = retried(failing(await filled(), { operation: "stat", nth: 1, when: "before" }), retries);
    for (let round = 0; round < 100; round++) await outcome((await flaky("stat", 3)).stat("a/1"));
    await patient.stat("a/1");
    const [early, late] = [waits.filter((_, index) => index % 2 === 0), waits.filter((_, index) => index % 2 === 1)];
    expect(Math.max(...early)).to.be.within(50, 100);
    expect(Math.max(...late)).to.be.within(100, 150);
    expect(new Set(waits).size).to.be.greaterThan(100);
  });

  it("does not try again what will not change", async () => {
    const store = await flaky("stat", 1, { error: new DriverError("NO_SPACE", "full") });
    expect(await outcome(store.stat("a/1"))).to.equal("NO_SPACE");
    const faulty = await flaky("stat", 1, { error: new Error("a fault") });
    expect(String(await rejection(faulty.stat("a/1")))).to.contain("a fault");
    expect(await outcome(store.stat("missing"))).to.equal("NOT_FOUND");
    expect(waits).to.deep.equal([]);
  });

  it("tries a write again until something was taken from its source", async () => {
    const untouched = await flaky("write", 2);
    await untouched.write("new", source("content"));
    expect(await textOf(untouched, "new")).to.equal("content");

    const touched = await flaky("write", 1, { when: "after" });
    expect(await outcome(touched.write("new", source("content")))).to.equal("UNAVAILABLE");
  });

  it("does not try a move again", async () => {
    expect(await outcome((await flaky("move", 1, { when: "after" })).move("a/1", "b"))).to.equal("UNAVAILABLE");
    expect(waits).to.deep.equal([]);
  });

  it("goes on with a listing behind the last item, as long as it comes forward", async () => {
    const driver = await filled();
    const list = driver.list.bind(driver);
    let calls = 0;
    driver.list = async function* (prefix, after) {
      calls += 1;
      let yielded = 0;
      for await (const entry of list(prefix, after)) {
        if (yielded++ === 1) throw new DriverError("UNAVAILABLE", "one item at a time");
        yield entry;
      }
    };
    for (const key of ["a/4", "a/5", "a/6"]) await put(driver, key, key);
    expect(await keysOf(retried(driver, retries), "a")).to.deep.equal(["a/1", "a/2", "a/3", "a/4", "a/5", "a/6"]);
    expect(calls).to.equal(6);
  });

  it("does not hide that a stream breaks", async () => {
    const driver = await filled();
    const read = driver.read.bind(driver);
    driver.read = async (key) => {
      const stream = await read(key);
      return stream.once("readable", () => stream.destroy(new DriverError("UNAVAILABLE", "broken")));
    };
    expect(await outcome(bytesOf(retried(driver, retries), "a/1"))).to.equal("UNAVAILABLE");
  });
});
