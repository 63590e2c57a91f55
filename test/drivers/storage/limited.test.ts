import { expect } from "chai";
import { limited } from "../../../src/drivers/storage/limited.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { until } from "../../support/program.ts";
import { bytesOf, keysOf, put, rejection, source, textOf } from "../../support/storage-content.ts";

/** A memory store whose stats wait until they are let go; `running` counts those that wait. */
function gated(): { readonly driver: StorageDriver; readonly running: () => number; readonly release: () => void } {
  const driver = openMemory();
  const waiting: (() => void)[] = [];
  const stat = driver.stat.bind(driver);
  driver.stat = async (key) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return await stat(key);
  };
  return { driver, running: () => waiting.length, release: () => waiting.shift()?.() };
}

const turn = async (): Promise<void> => {
  await new Promise((resolve) => setImmediate(resolve));
};

describe("limited storage", () => {
  it("lets so many operations through, and the others in turn", async () => {
    const { driver, running, release } = gated();
    await put(driver, "key", "x");
    const store = limited(driver, { atOnce: 2 });
    const done: number[] = [];
    const stats = [1, 2, 3, 4, 5].map(async (number) => {
      await store.stat("key");
      done.push(number);
    });
    for (const finished of [0, 1, 2, 3]) {
      await until("all that may run to run", () => running() === 2);
      await turn();
      expect(running()).to.equal(2);
      expect(done).to.have.length(finished);
      release();
      await until("one to finish", () => done.length === finished + 1);
    }
    release();
    await Promise.all(stats);
    expect(done).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it("counts a stream until it is closed, whether read to its end, left or failed", async () => {
    const store = limited(openMemory(), { atOnce: 1, patience: 3_600_000 });
    await put(store, "key", "content");
    for (const close of ["end", "leave", "fail"]) {
      const stream = await store.read("key");
      let entered = false;
      const next = store.stat("key").then(() => (entered = true));
      await turn();
      expect(entered).to.be.false;
      if (close === "end") stream.resume();
      if (close === "leave") stream.destroy();
      if (close === "fail") stream.on("error", () => undefined).destroy(new Error("the reader failed"));
      await next;
    }
  });

  it("gives the place back when an operation fails", async () => {
    const store = limited(openMemory(), { atOnce: 1, patience: 3_600_000 });
    await rejection(store.read("missing"));
    await rejection(store.stat("missing"));
    await rejection(store.move("missing", "to"));
    await rejection(store.write("key", source("x"), 2));
    expect(await keysOf(store, "")).to.deep.equal([]);
  });

  it("does not wait forever for readers who hold streams and want more of them", async () => {
    const store = limited(openMemory(), { atOnce: 2, patience: 1 });
    for (const key of ["a", "b"]) await put(store, key, key.repeat(100_000));
    const compare = async (): Promise<string> => {
      const held = [await store.read("a"), await store.read("b")];
      const texts = [];
      for (const stream of held) {
        let text = "";
        for await (const chunk of stream) text += String(chunk);
        texts.push(`${text.charAt(0)}${text.length}`);
      }
      return texts.join();
    };
    const answers = await Promise.all(Array.from({ length: 10 }, compare));
    expect(new Set(answers)).to.deep.equal(new Set(["a100000,b100000"]));
  });

  it("does not wait forever for writes whose content comes from the same store", async () => {
    const store = limited(openMemory(), { atOnce: 1, patience: 1 });
    await put(store, "from", "content");
    const copies = Array.from({ length: 10 }, async (_, index) => {
      const stream = await store.read("from");
      await store.write(`to/${index}`, stream as AsyncIterable<Uint8Array>);
    });
    const joins = Array.from({ length: 10 }, async (_, index) => {
      const lazily = async function* () {
        yield await bytesOf(store, "from");
      };
      await store.write(`joined/${index}`, lazily());
    });
    await Promise.all([...copies, ...joins]);
    expect(await textOf(store, "to/9")).to.equal("content");
    expect(await textOf(store, "joined/9")).to.equal("content");
  });
});
