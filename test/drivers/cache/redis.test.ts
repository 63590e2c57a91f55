import { expect } from "chai";
import type { Cache } from "../../../src/drivers/cache/cache.ts";
import { openRedis, type RedisOptions, type RedisSettings } from "../../../src/drivers/cache/redis.ts";
import { describeCache } from "../../support/cache-conformance.ts";
import { freePort, until } from "../../support/program.ts";
import { RedisServer } from "../../support/redis.ts";
import { rejection } from "../../support/storage-content.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";

/** On a busy machine Redis may take long. */
const patient = { patience: 10_000 };
/** For what waits until Redis is given up. */
const impatient = { patience: 500 };
let shared: RedisServer | undefined;

after(async () => {
  await shared?.stop();
});

describeCache("redis", async (context) => {
  shared = await RedisServer.start(context);
  const caches = [openRedis(shared.settings, patient), openRedis(shared.settings, patient)] as const;
  for (const cache of caches) await cache.ping();
  return caches;
});

describe("a Redis cache", function () {
  this.timeout(180_000);
  const opened: Cache[] = [];
  const messages: string[] = [];
  let server: RedisServer;

  before(async function () {
    server = await RedisServer.start(this);
  });

  afterEach(async () => {
    for (const cache of opened.splice(0)) await cache.close();
    messages.length = 0;
    server.thaw();
  });

  after(async () => {
    await (server as RedisServer | undefined)?.stop();
  });

  const open = (settings: RedisSettings = server.settings, options: RedisOptions = {}): Cache => {
    const cache = openRedis(settings, { onState: (message) => messages.push(message), ...patient, ...options });
    opened.push(cache);
    return cache;
  };
  const answers = async (cache: Cache): Promise<void> => {
    await until("the cache to answer", async () => {
      await cache.ping();
      return true;
    });
  };
  const put = async (cache: Cache, key: string, text: string): Promise<void> => {
    await (await cache.change(key)).done(Buffer.from(text));
  };
  const text = async (cache: Cache, key: string): Promise<string | undefined> => {
    const { value } = await cache.read(key);
    return value && Buffer.from(value).toString();
  };

  it("does not speak when all is well", async () => {
    const cache = open();
    await answers(cache);
    await put(cache, "key", "content");
    expect(await text(cache, "key")).to.equal("content");
    expect(messages).to.deep.equal([]);
  });

  it("uses the database and the password that it is given", async function () {
    const guarded = await RedisServer.start(this, [], "secret");
    try {
      const refused = open({ ...guarded.settings, password: "wrong" });
      expect(String(await rejection(refused.ping()))).to.contain("WRONGPASS");
      const cache = open(guarded.settings);
      await cache.ping();
      await put(cache, "key", "content");
      expect(await guarded.send("KEYS", "*value:key")).to.contain("registryctl:");
    } finally {
      await guarded.stop();
    }
  });

  it("keeps everything below its prefix and for a limited time", async () => {
    const cache = open(undefined, { prefix: "mine", keep: 12_345 });
    await answers(cache);
    await put(cache, "key", "content");
    const keys = (await server.send("KEYS", "mine*")).match(/mine\S*/g) ?? [];
    const value = keys.find((key) => key.includes(":value:key")) ?? "";
    expect(keys).to.have.members(["mine:epoch", value]);
    expect(Number((await server.send("PTTL", value)).slice(1))).to.be.within(1, 12_345);
    expect(await text(open(undefined, { prefix: "other" }), "key")).to.equal(undefined);
  });

  it("knows nothing, keeps nothing and fails nothing without a Redis, and says so once", async () => {
    const cache = open({ ...server.settings, port: await freePort() });
    expect(String(await rejection(cache.ping()))).to.match(/does not answer: .*ECONNREFUSED/);
    for (let round = 0; round < 1000; round++) {
      await put(cache, "key", "content");
      expect(await cache.read("key")).to.deep.equal({});
    }
    await rejection(cache.ping());
    expect(messages).to.have.length(1);
    expect(messages[0]).to.match(/^Redis at 127\.0\.0\.1:\d+ does not answer \(.*\): going on without the cache$/);
  });

  it("waits for one lost answer only, when Redis hangs, and comes back with it", async () => {
    const cache = open(undefined, impatient);
    await answers(cache);
    await put(cache, "key", "content");
    server.freeze();
    expect(await cache.read("key")).to.deep.equal({});
    // If each of these waited for its answer to time out, the test would too.
    for (let round = 0; round < 2_000; round++) await cache.read("key");
    expect(messages).to.deep.equal([
      `Redis at 127.0.0.1:${server.settings.port} does not answer (no answer within 500 ms): going on without the cache`,
    ]);
    server.thaw();
    await answers(cache);
    expect(messages.slice(1)).to.deep.equal([
      `Redis at 127.0.0.1:${server.settings.port} answers again: the cache is used`,
    ]);
    await put(cache, "key", "new");
    expect(await text(cache, "key")).to.equal("new");
  });

  it("does not believe what it finds after it missed a change", async () => {
    const [here, there] = [open(undefined, impatient), open(undefined, impatient)];
    for (const cache of [here, there]) await answers(cache);
    await put(here, "key", "old");
    await put(here, "other", "unchanged");
    server.freeze();
    await put(here, "key", "new");
    server.thaw();
    await answers(here);
    await answers(there);
    for (const cache of [here, there]) expect(await text(cache, "key")).to.equal(undefined);
    expect(await text(there, "other")).to.equal(undefined);
  });

  it("lets a change go on when nobody can see the old value any more, where its announcement was lost on the way", async () => {
    const proxy = await TcpProxy.start(server.settings.port);
    try {
      const there = open();
      const here = open({ ...server.settings, port: proxy.port }, { ...impatient, recovery: 30_000 });
      for (const cache of [here, there]) await answers(cache);
      await put(here, "key", "old");
      proxy.mode = "silent";
      const changing = here.change("key");
      await until("the connection is given up", () => messages.length > 0);
      expect(await text(there, "key")).to.equal("old");
      proxy.calm();
      const change = await changing;
      expect((await there.read("key")).value).to.equal(undefined);
      await change.done(Buffer.from("new"));
      expect(await text(there, "key")).to.equal("new");
    } finally {
      await proxy.stop();
    }
  });

  it("does not believe a Redis that comes back with data of another time", async () => {
    const cache = open();
    await answers(cache);
    await put(cache, "key", "old");
    await server.saveAndStop();
    await until("the loss to be noticed", () => messages.length === 1);
    await server.start();
    await answers(cache);
    expect((await server.send("DBSIZE")).trim()).not.to.equal(":0");
    expect(await text(cache, "key")).to.equal(undefined);
  });

  it("does not believe what an earlier process left", async () => {
    const earlier = open();
    await answers(earlier);
    await put(earlier, "key", "old");
    const cache = open();
    await answers(cache);
    expect(await text(cache, "key")).to.equal(undefined);
  });

  it("forgets everything when Redis has evicted the epoch, and nothing worse", async () => {
    const cache = open();
    await answers(cache);
    await put(cache, "key", "content");
    const reader = await cache.read("elsewhere");
    const change = await cache.change("changing");
    await server.send("DEL", "registryctl:epoch");
    await reader.fill?.(Buffer.from("old"));
    await change.done(Buffer.from("perhaps old"));
    for (const key of ["key", "elsewhere", "changing"]) expect(await text(cache, key), key).to.equal(undefined);
    await put(cache, "key", "new");
    expect(await text(cache, "key")).to.equal("new");
  });

  it("goes on without a Redis that has no room, and uses it again when it has", async () => {
    const cache = open();
    await answers(cache);
    await server.send("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await server.send("CONFIG", "SET", "maxmemory", "1");
    try {
      expect(await cache.read("unknown")).to.deep.equal({});
      expect(messages[0]).to.match(/OOM/);
      expect(await cache.read("key")).to.deep.equal({});
    } finally {
      await server.send("CONFIG", "SET", "maxmemory", "0");
    }
    await answers(cache);
    await put(cache, "key", "content");
    expect(await text(cache, "key")).to.equal("content");
  });

  it("can be closed at any time", async () => {
    const fresh = open();
    await fresh.close();
    const used = open();
    await answers(used);
    await used.close();
    expect(await used.read("key")).to.deep.equal({});
    expect(String(await rejection(used.ping()))).to.contain("closed");
    expect(messages).to.deep.equal([]);
  });
});
