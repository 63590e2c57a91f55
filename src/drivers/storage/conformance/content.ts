import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { seededRandom } from "./random.ts";
import type { Conformance, Subject } from "../conformance.ts";
import {
  broken,
  bytesOf,
  exists,
  first,
  keysOf,
  namesOf,
  outcome,
  put,
  randomBytes,
  rejection,
  source,
  textOf,
} from "./probing.ts";

/** What is written is what is read, or nothing was written. */
export function describeContent(subject: Subject, { oneLine = false }: Conformance): void {
  describe("an object", () => {
    it("is what its source yielded, in one piece or in many, with its size said beforehand or not", async () => {
      const { driver } = subject;
      const area = subject.area();
      await driver.write(`${area}/one`, source("a whole"));
      await driver.write(`${area}/many`, source("a ", "who", "", "le"), 7);
      expect(await textOf(driver, `${area}/one`)).to.equal("a whole");
      expect(await textOf(driver, `${area}/many`)).to.equal("a whole");
    });

    it("may hold bytes of every value", async () => {
      const key = `${subject.area()}/bytes`;
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
      await subject.driver.write(key, source(bytes));
      expect((await bytesOf(subject.driver, key)).equals(bytes)).to.be.true;
    });

    it("may have no bytes at all", async () => {
      const { driver } = subject;
      const area = subject.area();
      await driver.write(`${area}/no-chunk`, source());
      await driver.write(`${area}/empty-chunk`, source(""), 0);
      for (const key of [`${area}/no-chunk`, `${area}/empty-chunk`]) {
        expect(await textOf(driver, key)).to.equal("");
        expect((await driver.stat(key)).size).to.equal(0);
      }
      expect(await keysOf(driver, area)).to.have.length(2);
    });

    it("has the size and time that its write answered, also in a listing", async () => {
      const { driver } = subject;
      const area = subject.area();
      const written = await driver.write(`${area}/object`, source("12345"));
      const listed = await first(driver.list(area));
      const known = await driver.stat(`${area}/object`);
      expect(listed?.key).to.equal(`${area}/object`);
      for (const stat of [written, known, listed]) {
        expect(stat?.size).to.equal(5);
        expect(stat?.modified.getTime()).to.be.closeTo(Date.now(), 300_000);
      }
    });

    it("is replaced as a whole, by a longer one and by a shorter one", async () => {
      const { driver } = subject;
      const key = `${subject.area()}/object`;
      for (const text of ["first", "the second is longer", "third"]) {
        await put(driver, key, text);
        expect(await textOf(driver, key)).to.equal(text);
        expect((await driver.stat(key)).size).to.equal(text.length);
      }
    });

    it("may have any name that is text", async () => {
      const { driver } = subject;
      const area = subject.area();
      const names = ["with space", "50%25", "a+b", "q?x=1&y", "#", "'\"`$", "back\\slash", "~", ".hidden", "...", "-", "\u{1f600}", "ünï", "日本", "tab\t", ...(oneLine ? [] : ["line\n"]), ":", "x".repeat(255)]; // prettier-ignore
      for (const name of names) await put(driver, `${area}/${name}/${name}`, name);
      for (const name of names) expect(await textOf(driver, `${area}/${name}/${name}`)).to.equal(name);
      expect(await namesOf(driver, area)).to.have.members(names);
      expect(await keysOf(driver, area)).to.have.members(names.map((name) => `${area}/${name}/${name}`));
      if (oneLine) expect(await outcome(put(driver, `${area}/line\n`, "x"))).to.equal("INVALID_KEY");
    });

    it("is another one when its name differs by case alone", async () => {
      const { driver } = subject;
      const area = subject.area();
      await put(driver, `${area}/name`, "small");
      await put(driver, `${area}/Name`, "large");
      expect([await textOf(driver, `${area}/name`), await textOf(driver, `${area}/Name`)]).to.deep.equal([
        "small",
        "large",
      ]);
    });

    it("may lie at the very top", async () => {
      const name = subject.area();
      await put(subject.driver, name, "top");
      expect(await textOf(subject.driver, name)).to.equal("top");
      expect(await namesOf(subject.driver, "")).to.include(name);
      expect(await keysOf(subject.driver, "")).to.include(name);
    });

    it("that does not exist rejects before there is a stream", async () => {
      const key = `${subject.area()}/missing`;
      expect(await outcome(subject.driver.read(key))).to.equal("NOT_FOUND");
      expect(await outcome(subject.driver.read(key, { start: 0, end: 1 }))).to.equal("NOT_FOUND");
      expect(await outcome(subject.driver.stat(key))).to.equal("NOT_FOUND");
    });

    it("is not a folder, nor is there anything below it", async () => {
      const { driver } = subject;
      const area = subject.area();
      await put(driver, `${area}/folder/object`, "x");
      for (const key of [area, `${area}/folder`, `${area}/folder/object/below`]) {
        expect(await outcome(driver.read(key)), key).to.equal("NOT_FOUND");
        expect(await outcome(driver.stat(key)), key).to.equal("NOT_FOUND");
        expect(await keysOf(driver, `${key}/below`), key).to.deep.equal([]);
      }
    });

    it("and a folder of the same name live side by side, or the second is refused and the first is as it was", async () => {
      const { driver } = subject;
      const area = subject.area();
      for (const [older, newer] of [
        [`${area}/a`, `${area}/a/b`],
        [`${area}/a-too`, `${area}/a-too/b/c`],
        [`${area}/b/c`, `${area}/b`],
      ] as const) {
        await put(driver, older, older);
        expect(await outcome(put(driver, newer, newer))).to.be.oneOf(["done", "INVALID_KEY"]);
        expect(await textOf(driver, older)).to.equal(older);
      }
    });
  });

  describe("a write", () => {
    it("shows nothing of the new object before it is done, and the old one until then", async () => {
      const { driver } = subject;
      const area = subject.area();
      await put(driver, `${area}/old`, "old");
      const seen: unknown[] = [];
      const watched = async function* (key: string) {
        yield Buffer.alloc(100_000, "n");
        seen.push(await keysOf(driver, area), await namesOf(driver, area), await outcome(driver.stat(key)));
        yield Buffer.from("end");
      };
      await driver.write(`${area}/new`, watched(`${area}/new`));
      await driver.delete(`${area}/new`);
      await driver.write(`${area}/old`, watched(`${area}/old`));
      expect(seen.slice(0, 3)).to.deep.equal([[`${area}/old`], ["old"], "NOT_FOUND"]);
      expect(seen.slice(3)).to.deep.equal([[`${area}/old`], ["old"], "done"]);
      expect((await driver.stat(`${area}/old`)).size).to.equal(100_003);
    });

    it("rejects with the very error of its source and leaves nothing, whether it comes first, between or last", async () => {
      const { driver } = subject;
      const area = subject.area();
      const error = Object.assign(new Error("the client went away"), { code: "ENOENT" });
      const big = "x".repeat(3_000_000);
      for (const parts of [[], ["some"], [big, big]]) {
        expect(await rejection(driver.write(`${area}/below/new`, broken(error, ...parts)))).to.equal(error);
      }
      expect(await outcome(driver.stat(`${area}/below/new`))).to.equal("NOT_FOUND");
      expect(await keysOf(driver, area)).to.deep.equal([]);
      expect(await namesOf(driver, area)).to.deep.equal([]);
    });

    it("that fails leaves the old object as it was", async () => {
      const { driver } = subject;
      const key = `${subject.area()}/object`;
      await put(driver, key, "old");
      const before = await driver.stat(key);
      await rejection(driver.write(key, broken(new Error("half way"), "new")));
      expect(await textOf(driver, key)).to.equal("old");
      expect(await driver.stat(key)).to.deep.equal(before);
    });

    it("is refused when the source is shorter or longer than was said, and lets go of the source", async () => {
      const { driver } = subject;
      const key = `${subject.area()}/object`;
      let released = 0;
      const watched = async function* (...parts: string[]) {
        try {
          yield* source(...parts);
        } finally {
          released += 1;
        }
      };
      await rejection(driver.write(key, watched("1234"), 5));
      await rejection(driver.write(key, watched(), 1));
      await rejection(driver.write(key, watched("123", "456"), 5));
      await rejection(driver.write(key, watched("x"), 0));
      expect(released).to.equal(4);
      expect(await exists(driver, key)).to.be.false;
    });

    it("wins when it finishes last, not when it starts last", async () => {
      const { driver } = subject;
      const key = `${subject.area()}/object`;
      let finish = (): void => undefined;
      const finished = new Promise<void>((resolve) => (finish = resolve));
      let start = (): void => undefined;
      const started = new Promise<void>((resolve) => (start = resolve));
      const slow = driver.write(
        key,
        (async function* () {
          yield Buffer.from("first to start, ");
          start();
          await finished;
          yield Buffer.from("last to finish");
        })(),
      );
      await started;
      await put(driver, key, "last to start, first to finish");
      expect(await textOf(driver, key)).to.equal("last to start, first to finish");
      finish();
      await slow;
      expect(await textOf(driver, key)).to.equal("first to start, last to finish");
    });

    it("among many of the same key leaves one of them, whole", async function () {
      const { driver } = subject;
      const key = `${subject.area()}/object`;
      const random = seededRandom(this);
      const contents = Array.from({ length: 30 }, () => randomBytes(random, 1 + random(200_000)));
      await Promise.all(contents.map(async (bytes) => await driver.write(key, source(bytes), bytes.length)));
      const kept = await bytesOf(driver, key);
      expect(contents.filter((bytes) => bytes.equals(kept))).to.have.length(1);
    });

    it("may take its content from the same store", async () => {
      const { driver } = subject;
      const area = subject.area();
      for (const name of ["1", "2", "3"]) await put(driver, `${area}/parts/${name}`, name);
      const joined = async function* () {
        for await (const { key } of driver.list(`${area}/parts`)) yield* await driver.read(key);
      };
      const writes = Array.from({ length: 20 }, async (_, index) => {
        await driver.write(`${area}/joined/${index}`, joined() as AsyncIterable<Uint8Array>, 3);
      });
      await Promise.all(writes);
      expect(await textOf(driver, `${area}/joined/19`)).to.equal("123");
    });
  });

  describe("the driver", () => {
    it("answers a ping", async () => {
      await subject.driver.ping();
      expect(await namesOf(subject.driver, "ping")).to.deep.equal([]);
    });

    it("says by its features whether there are paths and URLs", async () => {
      const { driver } = subject;
      const key = `${subject.area()}/a b+c`;
      await put(driver, key, "content");
      const path = driver.localPath(key);
      const url = await driver.redirectUrl(key, { seconds: 60 });
      expect(path !== undefined).to.equal(driver.features.localFiles);
      if (path !== undefined) expect(await readFile(path, "utf8")).to.equal("content");
      if (!driver.features.redirect) expect(url).to.equal(undefined);
      if (url !== undefined) expect(await (await fetch(url)).text()).to.equal("content");
    });
  });
}
