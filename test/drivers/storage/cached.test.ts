import { expect } from "chai";
import type { Cache } from "../../../src/drivers/cache/cache.ts";
import { openMemoryCache } from "../../../src/drivers/cache/memory.ts";
import { openRedis } from "../../../src/drivers/cache/redis.ts";
import { cached } from "../../../src/drivers/storage/cached.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { failing } from "../../support/failing-driver.ts";
import { freePort, until } from "../../support/program.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { RedisServer } from "../../support/redis.ts";
import { describeStorage } from "../../support/storage-conformance.ts";
import { bytesOf, outcome, put, rejection, repeated, textOf } from "../../support/storage-content.ts";

const everything = { admits: () => true };
const inMemory = { inMemory: true };
/** On a busy machine Redis may take long. */
const patient = { patience: 10_000 };

describeStorage(
  "memory behind a memory cache",
  async () => await Promise.resolve(cached(openMemory(), openMemoryCache(), everything)),
  undefined,
  inMemory,
);

let redis: RedisServer | undefined;
let redisCache: Cache | undefined;

describeStorage(
  "memory behind Redis",
  async (context) => {
    redis = await RedisServer.start(context);
    redisCache = openRedis(redis.settings, patient);
    await redisCache.ping();
    return cached(openMemory(), redisCache, everything);
  },
  async () => {
    await redisCache?.close();
    await redis?.stop();
  },
  inMemory,
);

describeStorage(
  "memory behind a Redis that is not there",
  async () => {
    redisCache = openRedis({ host: "127.0.0.1", port: await freePort(), db: 0 });
    return cached(openMemory(), redisCache, everything);
  },
  async () => {
    await redisCache?.close();
  },
  inMemory,
);

describe("cached storage", () => {
  /** A store and a way to know whether it was asked. */
  const counted = (): {
    readonly store: StorageDriver;
    readonly asked: () => number;
    readonly driver: StorageDriver;
  } => {
    const driver = openMemory();
    const counter = failing(driver, { nth: Infinity, when: "before" });
    return { driver, store: cached(counter, openMemoryCache()), asked: () => counter.calls };
  };

  it("asks the store once for what is read often, whole or in ranges, and for its size", async () => {
    const { driver, store, asked } = counted();
    await put(driver, "images/abc/json", "0123456789");
    expect(await textOf(store, "images/abc/json")).to.equal("0123456789");
    const before = asked();
    expect(await textOf(store, "images/abc/json")).to.equal("0123456789");
    expect(await textOf(store, "images/abc/json", { start: 2, end: 4 })).to.equal("23");
    expect(await outcome(store.read("images/abc/json", { start: 10 }))).to.equal("INVALID_RANGE");
    expect(await store.stat("images/abc/json")).to.deep.equal(await driver.stat("images/abc/json"));
    expect(asked()).to.equal(before);
  });

  it("knows what was written without asking, and forgets what was deleted, moved or copied over", async () => {
    const { store, asked } = counted();
    for (const key of ["images/a", "images/b", "images/c"]) await put(store, key, key);
    const before = asked();
    expect(await textOf(store, "images/a")).to.equal("images/a");
    expect(asked()).to.equal(before);
    await store.copy("images/a", "images/b");
    expect(await textOf(store, "images/b")).to.equal("images/a");
    await store.move("images/c", "images/a");
    expect(await textOf(store, "images/a")).to.equal("images/c");
    expect(await outcome(store.stat("images/c"))).to.equal("NOT_FOUND");
    await store.delete("images/a");
    expect(await outcome(store.read("images/a"))).to.equal("NOT_FOUND");
  });

  it("keeps small documents of images, and neither tags, layers, blobs, uploads nor what is large", async () => {
    const { store, asked } = counted();
    const isKept = async (key: string, size: number): Promise<boolean> => {
      await store.write(key, repeated(Buffer.alloc(1000, "x"), size));
      const before = asked();
      expect((await bytesOf(store, key)).length).to.equal(size);
      return asked() === before;
    };
    for (const key of ["images/a/json", "images/a/ancestry", "_registryctl/v1/images/a/contested"]) {
      expect(await isKept(key, 65_536), key).to.be.true;
      expect(await isKept(key, 65_537), key).to.be.false;
      expect(await isKept(key, 0), key).to.be.true;
    }
    for (const key of [
      "images/a/layer",
      "docker/registry/v2/blobs/sha256/ab/abc/data",
      "_registryctl/uploads/1",
      "image/a",
    ]) {
      expect(await isKept(key, 5), key).to.be.false;
    }
  });

  it("shows tags as they are, also when who changes them does not reach the cache", async () => {
    const store = openMemory();
    const reader = cached(store, openMemoryCache());
    const unreachable = openRedis({ host: "127.0.0.1", port: await freePort(), db: 0 });
    const writer = cached(store, unreachable);
    const tag = "repositories/library/a/tag_latest";
    for (const key of [tag, "repositories/library/a/_index_images", "images/a/_inprogress"]) {
      await put(writer, key, "one");
      expect(await textOf(reader, key)).to.equal("one");
      await put(writer, key, "two");
      expect(await textOf(reader, key)).to.equal("two");
      await writer.delete(key);
      expect(await outcome(reader.read(key)), key).to.equal("NOT_FOUND");
    }
    await unreachable.close();
  });

  it("forgets what a change that failed may have changed", async () => {
    for (const when of ["before", "after"] as const) {
      for (const operation of ["write", "delete", "move", "copy", "link"] as const) {
        const driver = openMemory();
        for (const key of ["images/a", "images/b"]) await put(driver, key, key);
        const store = cached(failing(driver, { operation, nth: 1, when }), openMemoryCache());
        for (const key of ["images/a", "images/b"]) await textOf(store, key);
        const change = {
          write: () => put(store, "images/b", "new"),
          delete: () => store.delete("images/b"),
          move: () => store.move("images/a", "images/b"),
          copy: () => store.copy("images/a", "images/b"),
          link: () => store.link("images/a", "images/b"),
        }[operation];
        await rejection(change());
        for (const key of ["images/a", "images/b"]) {
          const truth = await textOf(driver, key).catch(() => "gone");
          expect(await textOf(store, key).catch(() => "gone"), `${operation} failing ${when}: ${key}`).to.equal(truth);
        }
      }
    }
  });

  it("does not keep what a reader had read before a change that ended before the reader did", async () => {
    const driver = openMemory();
    await put(driver, "images/a", "old");
    const cache = openMemoryCache();
    const writer = cached(driver, cache);
    const slow = transparent(driver);
    const paused: (() => void)[] = [];
    slow.read = async (key) => {
      const stream = await driver.read(key);
      await new Promise<void>((resolve) => paused.push(resolve));
      return stream;
    };
    const reading = textOf(cached(slow, cache), "images/a");
    await until("the reader to have the old object", () => paused.length === 1);
    await put(writer, "images/a", "new");
    paused[0]?.();
    expect(await reading).to.equal("old");
    expect(await textOf(writer, "images/a")).to.equal("new");
  });

  describe("of three servers that share a store and a Redis", function () {
    this.timeout(180_000);
    const keys = ["images/a", "images/b", "images/c"] as const;
    let server: RedisServer;
    let caches: Cache[] = [];

    beforeEach(async function () {
      server = await RedisServer.start(this);
      // A change waits until Redis is told of it, as only then nobody sees what was before.
      caches = [1, 2, 3].map(() => openRedis(server.settings, { ...patient, recovery: 30_000 }));
      for (const cache of caches) await cache.ping();
    });

    afterEach(async () => {
      for (const cache of caches) await cache.close();
      await (server as RedisServer | undefined)?.stop();
    });

    it("never shows anything older than what was acknowledged when the reader began", async function () {
      const random = seededRandom(this);
      const driver = openMemory();
      const counter = failing(driver, { operation: "read", nth: Infinity, when: "before" });
      const stores = caches.map((cache) => cached(lingering(counter, random), cache));
      for (const key of keys) await put(driver, key, "0");
      let reads = 0;
      const histories = keys.map(async (key) => {
        let [acknowledged, begun] = [0, 0];
        const read = async (): Promise<void> => {
          const least = acknowledged;
          const seen = Number(await textOf(stores[random(3)]!, key));
          expect(seen, key).to.be.within(least, begun);
          reads += 1;
        };
        while (begun < 150) {
          // As if it had been evicted: now the readers fill it in, while it changes.
          if (random(2) === 0) await (await caches[random(3)]!.change(key)).done();
          const readers = Array.from({ length: random(6) }, read);
          begun += 1;
          await put(stores[random(3)]!, key, String(begun));
          acknowledged = begun;
          await Promise.all([...readers, read(), read()]);
          for (const store of stores) expect(await textOf(store, key)).to.equal(String(begun));
        }
      });
      await Promise.all(histories);
      // Were the cache never used, the rest would prove nothing.
      expect(counter.calls).to.be.below(reads / 2);
    });

    it("shows in the end what the store has, however many changes came at the same time", async function () {
      const random = seededRandom(this);
      const driver = openMemory();
      const stores = caches.map((cache) => cached(lingering(transparent(driver), random), cache));
      for (let round = 0; round < 100; round++) {
        const act = async (number: number): Promise<void> => {
          const store = stores[random(3)]!;
          const key = keys[random(3)]!;
          const other = keys[random(3)]!;
          const acts = [
            () => put(store, key, `${round} ${number}`),
            () => put(store, key, `${round} ${number}`),
            () => store.delete(key),
            () => store.move(key, other),
            () => store.copy(key, other),
            () => textOf(store, key),
            () => textOf(store, key),
            () => store.stat(key),
          ];
          await outcome(acts[random(acts.length)]!());
        };
        await Promise.all(Array.from({ length: 12 }, async (_, number) => { await act(number); })); // prettier-ignore
        for (const key of keys) {
          const truth = await textOf(driver, key).catch(() => "gone");
          for (const store of stores) {
            expect(await textOf(store, key).catch(() => "gone"), `round ${round}, ${key}`).to.equal(truth);
          }
        }
      }
    });
  });
});

function transparent(driver: StorageDriver): StorageDriver {
  return failing(driver, { nth: Infinity, when: "before" });
}

/** The driver, with each operation taking some turns before and after its effect. */
function lingering(driver: StorageDriver, random: Random): StorageDriver {
  const turns = async (): Promise<void> => {
    for (let count = random(6); count > 0; count--) await new Promise((resolve) => setImmediate(resolve));
  };
  const around = async <T>(work: () => Promise<T>): Promise<T> => {
    await turns();
    return await work().finally(turns);
  };
  const slow = transparent(driver);
  slow.read = (key, range) => around(() => driver.read(key, range));
  slow.stat = (key) => around(() => driver.stat(key));
  slow.write = (key, source, size) => around(() => driver.write(key, source, size));
  slow.delete = (key) => around(() => driver.delete(key));
  slow.move = (from, to) => around(() => driver.move(from, to));
  slow.copy = (from, to) => around(() => driver.copy(from, to));
  return slow;
}
