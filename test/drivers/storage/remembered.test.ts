import { expect } from "chai";
import { alone, amongStrangers } from "../../../src/drivers/storage/coherence.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { remembered, type Memory } from "../../../src/drivers/storage/remembered.ts";
import { failing } from "../../support/failing-driver.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { describeStorage } from "../../support/storage-conformance.ts";
import { namesOf, outcome, put, source, textOf } from "../../support/storage-content.ts";

const everything = { admits: () => "content" as const, folders: [""] };
const inMemory = { inMemory: true };

describeStorage(
  "remembered memory",
  async () => await Promise.resolve(remembered(openMemory(), alone, everything)),
  undefined,
  inMemory,
);

describeStorage(
  "memory of which a few objects and lists are remembered",
  async () => await Promise.resolve(remembered(openMemory(), alone, { ...everything, objectBytes: 1_000, names: 40 })),
  undefined,
  inMemory,
);

describeStorage(
  "memory that strangers may change",
  async () => await Promise.resolve(remembered(openMemory(), amongStrangers, everything)),
  undefined,
  inMemory,
);

let folder: string | undefined;

describeStorage(
  "remembered local",
  async () => remembered(await openLocal((folder = await temporaryFolder())), alone, everything),
  async () => {
    await removeFolder(folder);
  },
);

describe("remembered storage", () => {
  const tags = "docker/registry/v2/repositories/a/_manifests/tags";
  const link = `${tags}/latest/current/link`;
  const blob = "docker/registry/v2/blobs/sha256/aa/aaaa/data";

  /** A store, how often it was asked, and a group of processes that is told what it is told. */
  const opened = (memory?: Memory, inner: StorageDriver = openMemory()) => {
    const counter = failing(inner, { nth: Infinity, when: "before" });
    const announced: string[] = [];
    let forget: (keys?: readonly string[]) => void = () => undefined;
    const coherence = {
      isExclusive: true,
      announce: async (keys: readonly string[]) => {
        await Promise.resolve();
        announced.push(...keys);
      },
      listen: (listener: typeof forget) => {
        forget = listener;
      },
    };
    const store = remembered(counter, coherence, memory);
    return {
      inner,
      store,
      coherence,
      announced,
      forget: (keys?: readonly string[]) => {
        forget(keys);
      },
      /** How often the store was asked for what `work` does. */
      asks: async (work: () => Promise<unknown>): Promise<number> => {
        const before = counter.calls;
        await work();
        return counter.calls - before;
      },
    };
  };

  it("asks once for a small object, whole or in ranges", async () => {
    const { inner, store, asks } = opened();
    await put(inner, link, "0123456789");
    expect(await textOf(store, link)).to.equal("0123456789");
    const calls = await asks(async () => {
      expect(await textOf(store, link)).to.equal("0123456789");
      expect(await textOf(store, link, { start: 2, end: 4 })).to.equal("23");
      expect(await outcome(store.read(link, { start: 10 }))).to.equal("INVALID_RANGE");
      expect(await store.stat(link)).to.deep.equal(await inner.stat(link));
    });
    expect(calls).to.equal(0);
  });

  it("knows the size of content but not content, and nothing of what is on its way", async () => {
    const { inner, store, asks } = opened();
    await put(inner, blob, "content");
    await put(inner, "_registryctl/uploads/x/data/y", "part");
    await store.stat(blob);
    expect(await asks(() => store.stat(blob))).to.equal(0);
    expect(await asks(() => textOf(store, blob))).to.equal(1);
    await store.stat("_registryctl/uploads/x/data/y");
    expect(await asks(() => store.stat("_registryctl/uploads/x/data/y"))).to.equal(1);
  });

  it("does not remember that something is missing", async () => {
    const { inner, store } = opened();
    expect(await outcome(store.stat(link))).to.equal("NOT_FOUND");
    expect(await namesOf(store, tags)).to.deep.equal([]);
    await put(inner, link, "x");
    expect((await store.stat(link)).size).to.equal(1);
    expect(await namesOf(store, tags)).to.deep.equal(["latest"]);
  });

  it("tells the others what changed before it says so, also when it failed, and of nothing else", async () => {
    const { inner, store, announced } = opened();
    await put(store, link, "x");
    await put(store, "_registryctl/uploads/x", "part");
    await store.move("_registryctl/uploads/x", blob);
    await store.copy(blob, "images/x/json");
    await store.delete(link);
    expect(await outcome(store.move("_registryctl/uploads/x", blob))).to.equal("NOT_FOUND");
    expect(announced).to.deep.equal([link, blob, "images/x/json", link, blob]);
    expect((await inner.stat(blob)).size).to.equal(4);
  });

  it("forgets what others changed, and everything when it is told no keys", async () => {
    const { inner, store, forget } = opened();
    await put(store, link, "x");
    await store.stat(link);
    await namesOf(store, tags);
    await put(inner, link, "longer");
    await put(inner, `${tags}/v1/current/link`, "x");
    forget([link, `${tags}/v1/current/link`]);
    expect(await textOf(store, link)).to.equal("longer");
    expect(await namesOf(store, tags)).to.deep.equal(["latest", "v1"]);
    await inner.delete(link);
    forget();
    expect(await outcome(store.stat(link))).to.equal("NOT_FOUND");
    expect(await namesOf(store, tags)).to.deep.equal(["v1"]);
  });

  it("answers nothing from memory as soon as others may change the store", async () => {
    const { inner, store, coherence } = opened();
    await put(store, link, "x");
    await namesOf(store, tags);
    const watch = store.watch(link);
    expect(watch.isValid).to.equal(true);
    coherence.isExclusive = false;
    await put(inner, link, "longer");
    await put(inner, `${tags}/v1/current/link`, "x");
    expect(await textOf(store, link)).to.equal("longer");
    expect((await store.stat(link)).size).to.equal(6);
    expect(await namesOf(store, tags)).to.deep.equal(["latest", "v1"]);
    expect(store.watch(link).isValid).to.equal(false);
  });

  it("does not know which of two writes at the same time has won", async () => {
    const inner = openMemory();
    const { store } = opened({}, inner);
    const write = inner.write.bind(inner);
    let answer: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (answer = resolve));
    // The first is in the store before the second, and answered after it.
    inner.write = async (...request) => {
      inner.write = write;
      const stat = await write(...request);
      await held;
      return stat;
    };
    const first = store.write(link, source("first"), 5);
    await until("the first to be in the store", async () => (await textOf(inner, link)) === "first");
    await store.write(link, source("second"), 6);
    answer();
    await first;
    expect(await textOf(store, link)).to.equal("second");
  });

  it("has watches that end with a change, with time, and are none for what is not remembered", async () => {
    const { store } = opened({ objectLifetime: 20 });
    const [watch, other] = [store.watch(link), store.watch(blob)];
    await put(store, link, "x");
    expect([watch.isValid, other.isValid]).to.deep.equal([false, true]);
    await until("the watch to end", () => !other.isValid);
    const odd = store.watch(blob);
    odd.add("_registryctl/uploads/x");
    expect([odd.isValid, store.watch("_registryctl/uploads/x").isValid]).to.deep.equal([false, false]);
  });

  it("has watches of folders that end with any change below them, and with none beside them", async () => {
    const { store } = opened();
    const below = (folder: string) => {
      const watch = store.watch();
      watch.addBelow(folder);
      return watch;
    };
    const [watch, all, other] = [below(tags), below("docker/registry/v2/repositories"), below(`${tags}/late`)];
    await put(store, link, "x");
    expect([watch.isValid, all.isValid, other.isValid]).to.deep.equal([false, false, true]);
    const again = below(tags);
    await store.delete(link);
    expect([again.isValid, other.isValid]).to.deep.equal([false, true]);
    other.close();
    expect(other.isValid).to.equal(false);
    expect(below("_registryctl").isValid, "nothing is told of uploads").to.equal(false);
  });

  it("notices after a while what was changed behind its back", async () => {
    const { inner, store } = opened({ objectLifetime: 20, namesLifetime: 40 });
    await put(store, link, "x");
    await namesOf(store, tags);
    await inner.delete(link);
    await until("the object to be gone", async () => (await outcome(store.stat(link))) === "NOT_FOUND");
    await until("the name to be gone", async () => (await namesOf(store, tags)).length === 0);
  });

  it("takes the names of a page from memory, and asks only for those that changed", async () => {
    const { inner, store, asks } = opened();
    const name = (index: number): string => `v${String(index).padStart(4, "0")}`;
    for (let index = 0; index < 1_000; index++) await put(inner, `${tags}/${name(index)}/current/link`, "x");
    expect(await asks(() => namesOf(store, tags))).to.equal(1);
    const page = async (): Promise<readonly string[]> => {
      const names: string[] = [];
      for await (const item of store.children(tags, name(499))) if (names.push(item) === 100) break;
      return names;
    };
    expect(
      await asks(async () =>
        expect(await page()).to.have.members(Array.from({ length: 100 }, (_, i) => name(500 + i))),
      ),
    ).to.equal(0);
    await put(store, `${tags}/${name(600)}/current/link`, "again");
    expect(await asks(page)).to.equal(0);
    await store.delete(`${tags}/${name(550)}/current/link`);
    await store.delete(`${tags}/${name(950)}/current/link`);
    expect(await asks(async () => expect((await page()).at(-1)).to.equal(name(600)))).to.equal(2);
    expect(await asks(page)).to.equal(0);
  });

  it("loads a list once for all who wait for it, and again when that failed", async () => {
    const inner = openMemory();
    await put(inner, link, "x");
    const faulty = failing(inner, { operation: "children", nth: 1, when: "after" });
    const { store, asks } = opened({}, faulty);
    const all = async (): Promise<readonly PromiseSettledResult<string[]>[]> =>
      await Promise.allSettled([1, 2, 3].map(async () => await namesOf(store, tags)));
    expect((await all()).map(({ status }) => status)).to.deep.equal(["rejected", "rejected", "rejected"]);
    expect(await asks(all)).to.equal(1);
    expect(await asks(() => namesOf(store, tags))).to.equal(0);
  });

  it("forgets after a change that failed, whether the store has it or not", async () => {
    for (const when of ["before", "after"] as const) {
      const inner = openMemory();
      await put(inner, link, "x");
      const faulty = failing(inner, { operation: "delete", nth: 1, when });
      const { store, announced } = opened({}, faulty);
      await textOf(store, link);
      await namesOf(store, tags);
      expect(await outcome(store.delete(link))).to.equal("UNAVAILABLE");
      expect(announced).to.deep.equal([link]);
      expect(await outcome(store.stat(link))).to.equal(await outcome(inner.stat(link)));
      expect(await namesOf(store, tags)).to.deep.equal(await namesOf(inner, tags));
    }
  });

  it("remembers no more than it may of objects", async () => {
    const { inner, store, asks } = opened({ objectBytes: 20_000 });
    const key = (index: number): string => `images/${String(index).padStart(60, "0")}/json`;
    for (let index = 0; index < 100; index++) await put(inner, key(index), "x".repeat(1_000));
    for (let index = 0; index < 100; index++) await textOf(store, key(index));
    let known = 0;
    for (let index = 99; index >= 0; index--) if ((await asks(() => store.stat(key(index)))) === 0) known += 1;
    expect(known).to.be.within(10, 20);
  });

  it("remembers no more than it may of names, and of a list with more nothing", async () => {
    const { inner, store, asks } = opened({ names: 100 });
    const below = (folder: number): string => `repositories/${String(folder).padStart(3, "0")}`;
    for (let folder = 0; folder < 20; folder++) {
      for (let index = 0; index < 10; index++) await put(inner, `${below(folder)}/${index}`, "x");
    }
    for (let index = 0; index < 101; index++) await put(inner, `repositories/large/${index}`, "x");
    for (let folder = 0; folder < 20; folder++) await namesOf(store, below(folder));
    let known = 0;
    for (let folder = 19; folder >= 0; folder--) {
      if ((await asks(() => namesOf(store, below(folder)))) > 0) break;
      known += 1;
    }
    expect(known).to.be.within(3, 10);
    expect(await namesOf(store, "repositories/large")).to.deep.equal(await namesOf(inner, "repositories/large"));
    expect(await asks(() => namesOf(store, "repositories/large"))).to.equal(1);
  });
});
