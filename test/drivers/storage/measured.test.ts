import { expect } from "chai";
import { measured, type Measurement, type StorageOperation } from "../../../src/drivers/storage/measured.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { failing } from "../../support/failing-driver.ts";
import {
  broken,
  first,
  keysOf,
  namesOf,
  outcome,
  put,
  rejection,
  source,
  textOf,
} from "../../support/storage-content.ts";

describe("measured storage", () => {
  const seen: (Measurement & { readonly operation: StorageOperation })[] = [];
  const store = measured(openMemory(), (operation, measurement) => seen.push({ operation, ...measurement }));
  const facts = (): readonly (readonly [StorageOperation, number, boolean])[] =>
    seen.splice(0).map(({ operation, bytes, error }) => [operation, bytes, error !== undefined]);

  beforeEach(async () => {
    await put(store, "key", "content");
    seen.length = 0;
  });

  it("tells of every operation once", async () => {
    await store.stat("key");
    await store.copy("key", "copy");
    await store.link("key", "copy");
    await store.move("copy", "moved");
    await store.delete("moved");
    await keysOf(store, "");
    await namesOf(store, "");
    await store.ping();
    await store.redirectUrl("key", { seconds: 1 });
    const operations = ["stat", "copy", "link", "move", "delete", "list", "children", "ping", "redirectUrl"] as const;
    expect(facts()).to.deep.equal(operations.map((operation) => [operation, 0, false]));
  });

  it("counts the bytes that were written and read", async () => {
    await store.write("new", source("12", "345"));
    await textOf(store, "new");
    await textOf(store, "new", { start: 3 });
    expect(facts()).to.deep.equal([["write", 5, false], ["read", 5, false], ["read", 2, false]]); // prettier-ignore
  });

  it("tells of failures with their error and what had passed", async () => {
    const error = new Error("gone");
    await rejection(store.write("new", broken(error, "123")));
    expect(seen[0]?.error).to.equal(error);
    await outcome(store.read("missing"));
    await outcome(store.stat("missing"));
    expect(facts()).to.deep.equal([["write", 3, true], ["read", 0, true], ["stat", 0, true]]); // prettier-ignore
    const failed = measured(failing(openMemory(), { operation: "list", nth: 1, when: "before" }), (operation, rest) =>
      seen.push({ operation, ...rest }),
    );
    await outcome(keysOf(failed, ""));
    expect(facts()).to.deep.equal([["list", 0, true]]);
  });

  it("takes a reader who leaves, or a taker who has enough, for no failure", async () => {
    await put(store, "large", "x".repeat(1_000_000));
    seen.length = 0;
    const stream = await store.read("large");
    await first(stream);
    await first(store.list(""));
    expect(facts()).to.deep.equal([["read", 65_536, false], ["list", 0, false]]); // prettier-ignore
  });

  it("counts the time of the backend, not of readers, sources and takers", async () => {
    const clock = performance.now.bind(performance);
    let now = 0;
    const passing = async function* (milliseconds: number) {
      await Promise.resolve();
      now += milliseconds;
      yield Buffer.from("content");
      now += milliseconds;
    };
    const driver = openMemory();
    const write = driver.write.bind(driver);
    driver.write = async (...call) => {
      now += 3;
      return await write(...call).finally(() => (now += 4));
    };
    const timed = measured(driver, (operation, rest) => seen.push({ operation, ...rest }));
    performance.now = () => now;
    try {
      await timed.write("key", passing(1000));
      for await (const chunk of await timed.read("key")) now += (chunk as Buffer).length * 1000;
      for await (const { size } of timed.list("")) now += size * 1000;
    } finally {
      performance.now = clock;
    }
    expect(seen.map(({ milliseconds }) => milliseconds)).to.deep.equal([7, 0, 0]);
  });
});
