import { expect } from "chai";
import type { Context } from "mocha";
import type { Cache } from "../../src/drivers/cache/cache.ts";

const bytes = (text: string): Buffer => Buffer.from(text);

/** The copy's text, or undefined when there is none. */
async function copyOf(cache: Cache, key: string): Promise<string | undefined> {
  const { value } = await cache.read(key);
  return value && Buffer.from(value).toString();
}

/**
 * What it means to be a cache. `open` is called for each of two users of the same cache: for a shared one they are two
 * servers. Each test has keys of its own.
 */
export function describeCache(name: string, open: (context: Context) => Promise<readonly [Cache, Cache]>): void {
  describe(`${name} is a cache`, () => {
    let here: Cache;
    let there: Cache;
    let key = "";
    let keys = 0;

    before(async function () {
      [here, there] = await open(this);
    });

    beforeEach(() => {
      key = `folder/key ${(keys += 1)} \u{1f600}`;
    });

    after(async () => {
      for (const cache of [here, there] as (Cache | undefined)[]) await cache?.close();
    });

    it("keeps what a reader fills in who found nothing", async () => {
      const { value, fill } = await here.read(key);
      expect(value).to.equal(undefined);
      await fill?.(bytes("content"));
      expect(await copyOf(here, key)).to.equal("content");
      expect(await copyOf(there, key)).to.equal("content");
    });

    it("keeps bytes of every value, and none", async () => {
      const every = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
      for (const value of [every, Buffer.alloc(0), Buffer.alloc(65_544, "x")]) {
        await (await here.change(key)).done(value);
        expect(Buffer.from((await there.read(key)).value ?? bytes("nothing")).equals(value)).to.be.true;
      }
    });

    it("keeps what a change ends with, instead of what was there", async () => {
      for (const text of ["first", "second"]) {
        await (await here.change(key)).done(bytes(text));
        expect(await copyOf(there, key)).to.equal(text);
      }
    });

    it("forgets what changes without the new value being known", async () => {
      await (await here.change(key)).done(bytes("content"));
      await (await there.change(key)).done();
      const { value, fill } = await here.read(key);
      expect(value).to.equal(undefined);
      expect(fill).not.to.equal(undefined);
    });

    it("knows nothing of a key while it changes, and lets nobody fill it in", async () => {
      await (await here.change(key)).done(bytes("old"));
      const change = await here.change(key);
      for (const cache of [here, there]) expect(await cache.read(key)).to.deep.equal({});
      await change.done(bytes("new"));
      expect(await copyOf(there, key)).to.equal("new");
    });

    it("gives one lease at a time", async () => {
      const { fill } = await here.read(key);
      expect(await there.read(key)).to.deep.equal({});
      await fill?.(bytes("content"));
      await fill?.(bytes("a lease is good for once"));
      expect(await copyOf(there, key)).to.equal("content");
    });

    it("drops what a reader fills in late, when a change has begun or ended since", async () => {
      const early = await here.read(key);
      const change = await there.change(key);
      await early.fill?.(bytes("old"));
      expect(await copyOf(here, key)).to.equal(undefined);
      await change.done();
      const between = await here.read(key);
      await (await there.change(key)).done(bytes("new"));
      await between.fill?.(bytes("old"));
      await early.fill?.(bytes("old"));
      expect(await copyOf(here, key)).to.equal("new");
    });

    it("keeps neither value of two changes at the same time, in whatever order they end", async () => {
      for (const order of [
        [0, 1],
        [1, 0],
      ] as const) {
        const changes = [await here.change(key), await there.change(key)];
        for (const index of order) await changes[index]?.done(bytes(`change ${index}`));
        expect(await copyOf(here, key), order.join()).to.equal(undefined);
        await (await here.change(key)).done(bytes("alone"));
        expect(await copyOf(here, key), order.join()).to.equal("alone");
      }
    });

    it("forgets what was filled in or changed while another change was going on", async () => {
      const slow = await here.change(key);
      await (await there.change(key)).done(bytes("second"));
      const reader = await there.read(key);
      await reader.fill?.(bytes("second"));
      await (await there.change(key)).done(bytes("third"));
      await slow.done(bytes("first"));
      expect(await copyOf(there, key)).to.equal(undefined);
    });

    it("keeps keys apart", async () => {
      await (await here.change(key)).done(bytes("one"));
      await (await here.change(`${key}/below`)).done(bytes("two"));
      await (await here.change(`${key}/below`)).done();
      expect(await copyOf(here, key)).to.equal("one");
    });

    it("answers a ping", async () => {
      await here.ping();
    });
  });
}
