import { expect } from "chai";
import type { SearchEntry, SearchIndex, SearchPage } from "../../src/drivers/search/search-index.ts";
import { until } from "./program.ts";

export interface SearchSubject {
  readonly index: SearchIndex;
  /** Another index over the same data, as another process would open it; the same index where nothing can be shared. */
  readonly second: SearchIndex;
  /** Closes the indexes and removes their data. */
  readonly remove: () => Promise<void>;
}

/** What every search index does. `make` is called for each test and answers an empty index that was never filled. */
export function describeSearchIndex(name: string, make: () => Promise<SearchSubject>): void {
  describe(`search index ${name}`, () => {
    let subject: SearchSubject;
    let index: SearchIndex;
    beforeEach(async () => {
      subject = await make();
      ({ index } = subject);
    });
    afterEach(async () => {
      await subject.remove();
    });

    const search = async (text: string, page = 1, pageSize = 25): Promise<SearchPage> =>
      await index.search({ text, page, pageSize });
    const names = async (text: string, page = 1, pageSize = 25) =>
      (await search(text, page, pageSize)).results.map((entry) => entry.name);
    const putAll = async (...all: (string | [string, string])[]) => {
      for (const entry of all) {
        const [key, description] = typeof entry === "string" ? [entry, ""] : entry;
        await index.put({ name: key, description });
      }
    };

    it("answers pings, and nothing else while it is empty", async () => {
      await index.ping();
      expect(await search("x")).to.deep.equal({ total: 0, page: 1, pageSize: 25, results: [] });
      expect(await search("")).to.deep.equal({ total: 0, page: 1, pageSize: 25, results: [] });
    });

    it("finds what was put, by name and by description", async () => {
      await putAll(["library/redis", "An in-memory store"], ["library/nginx", "A web server"]);
      expect((await search("redis")).results).to.deep.equal([
        { name: "library/redis", description: "An in-memory store" },
      ]);
      expect(await names("memory")).to.deep.equal(["library/redis"]);
      expect(await names("web serv")).to.deep.equal(["library/nginx"]);
      expect(await names("brary/n")).to.deep.equal(["library/nginx"]);
    });

    it("replaces the description when a name is put again", async () => {
      await putAll(["a/b", "old words"], ["a/b", "new words"]);
      expect(await names("old")).to.deep.equal([]);
      expect((await search("a/b")).results).to.deep.equal([{ name: "a/b", description: "new words" }]);
    });

    it("no longer finds what was deleted, and finds it when it is put again", async () => {
      await putAll("a/b", "a/c");
      await index.delete("a/b");
      await index.delete("a/b");
      await index.delete("never/was");
      expect(await search("")).to.include({ total: 1 });
      expect(await names("a/")).to.deep.equal(["a/c"]);
      await putAll(["a/b", "back"]);
      expect(await names("back")).to.deep.equal(["a/b"]);
    });

    it("ignores case in every alphabet, and how accents are encoded", async () => {
      await putAll(["library/redis", "Größe ÉTÉ ΟΔΟΣ Ярославль"], ["Team/Upper", "plain"]);
      for (const text of ["REDIS", "grösse", "GRÖSSE", "été", "e\u0301te\u0301", "οδος", "οδοσ", "ЯРОСЛАВЛЬ"]) {
        expect(await names(text), text).to.deep.equal(["library/redis"]);
      }
      expect(await names("team/upper")).to.deep.equal(["Team/Upper"]);
    });

    it("takes %, _, \\, quotes and other signs of query languages for themselves", async () => {
      const signs = [
        "%",
        "_",
        "\\",
        "'",
        '"',
        "*",
        "?",
        "[",
        "]",
        "^",
        "(",
        ")",
        ":",
        "-",
        "|",
        "$1",
        "--",
        ";",
        "\\_",
        "%%",
      ];
      await putAll("plain/name", ...signs.map((sign, at): [string, string] => [`signs/${at}`, `<${sign}>`]));
      for (const [at, sign] of signs.entries()) {
        expect(await names(`<${sign}>`), sign).to.deep.equal([`signs/${at}`]);
      }
      expect(await names("p%e")).to.deep.equal([]);
      expect(await names("pl_in")).to.deep.equal([]);
      expect(await names("%")).to.have.lengthOf(2);
    });

    it("ranks exact names, then beginnings, then names, then descriptions, each in order of names", async () => {
      await putAll(
        ["zeta/other", "the mail server"],
        ["alpha/other", "mail"],
        "alpha/webmail",
        "a/mailman",
        "mail/server",
        "z/mail",
        "mail",
        "b/mail",
        ["unrelated", "nothing"],
      );
      expect(await names("mail")).to.deep.equal([
        ...["b/mail", "mail", "z/mail"],
        ...["a/mailman", "mail/server"],
        "alpha/webmail",
        ...["alpha/other", "zeta/other"],
      ]);
      expect(await names("Z/Mail")).to.deep.equal(["z/mail"]);
    });

    it("orders names by their bytes", async () => {
      await putAll("b/a", "b-a", "B/c", "b/B", "é/a", "a_b", "a/b");
      expect(await names("")).to.deep.equal(["B/c", "a/b", "a_b", "b-a", "b/B", "b/a", "é/a"]);
    });

    it("answers a page at a time, with the number of all matches", async () => {
      await putAll(...Array.from({ length: 23 }, (_, at) => `many/r${String(at).padStart(2, "0")}`), "other/one");
      const pages = [1, 2, 3, 4].map(async (page) => await search("many/", page, 10));
      const [first, second, third, fourth] = await Promise.all(pages);
      expect([first, second, third, fourth].map((page) => page?.total)).to.deep.equal([23, 23, 23, 23]);
      expect([first, second, third, fourth].map((page) => page?.results.length)).to.deep.equal([10, 10, 3, 0]);
      expect(first).to.include({ page: 1, pageSize: 10 });
      expect(second?.results[0]?.name).to.equal("many/r10");
      expect(third?.results.map((entry) => entry.name)).to.deep.equal(["many/r20", "many/r21", "many/r22"]);
      expect(await names("many/r05", 1, 1)).to.deep.equal(["many/r05"]);
      expect(await search("", 1, 100)).to.include({ total: 24 });
    });

    it("keeps odd texts: long, empty, with NUL, halves of characters and line breaks", async () => {
      const long = "x".repeat(20_000);
      await putAll(["long/one", `${long} end`], ["odd/one", "nul\0byte"], ["odd/two", "half \ud800 rest\nnext line"]);
      expect(await names("x end")).to.deep.equal(["long/one"]);
      expect(await names(long)).to.deep.equal(["long/one"]);
      expect(await names("nul\0byte")).to.deep.equal(["odd/one"]);
      expect(await names("rest\nnext")).to.deep.equal(["odd/two"]);
      await putAll("n".repeat(500));
      expect(await names("nnnn")).to.deep.equal(["n".repeat(500)]);
    });

    it("serves puts, deletes and searches that come at the same time", async () => {
      await Promise.all(
        Array.from({ length: 60 }, async (_, at) => {
          await index.put({ name: `both/${at}`, description: "" });
          if (at % 3 === 0) await index.delete(`both/${at}`);
          await search("both");
        }),
      );
      expect(await search("both/")).to.include({ total: 40 });
    });

    describe("fill", () => {
      it("adds what the source yields, once", async () => {
        expect(await index.fill(() => entries(450))).to.equal(450);
        expect(await search("walked/", 5, 100)).to.deep.include({ total: 450 });
        expect(await index.fill(unread)).to.equal(0);
        await index.delete("walked/1");
        expect(await index.fill(unread)).to.equal(0);
        expect(await search("walked/")).to.include({ total: 449 });
      });

      it("can be of nothing", async () => {
        expect(await index.fill(() => entries(0))).to.equal(0);
        expect(await index.fill(unread)).to.equal(0);
      });

      it("runs once when it is called several times at once, and all wait until it is done", async () => {
        let walks = 0;
        const others = [index, subject.second, index];
        const added = await Promise.all(
          others.map(async (each) => {
            const count = await each.fill(() => {
              walks++;
              return entries(300);
            });
            expect(await search("walked/")).to.include({ total: 300 });
            return count;
          }),
        );
        expect(walks).to.equal(1);
        expect(added.sort()).to.deep.equal([0, 0, 300]);
      });

      it("leaves alone what was put before and while it runs", async () => {
        await putAll(["walked/1", "put before"]);
        await index.fill(() =>
          walk(400, async (at) => {
            if (at === 3)
              await putAll(["walked/2", "put before its batch"], ["walked/390", "put long before it is met"]);
            if (at === 350) await putAll(["walked/5", "put after it was added"], ["walked/350", "put just now"]);
          }),
        );
        expect(await search("walked/")).to.include({ total: 400 });
        expect((await search("put", 1, 100)).results.map((entry) => entry.name)).to.deep.equal([
          "walked/1",
          "walked/2",
          "walked/350",
          "walked/390",
          "walked/5",
        ]);
      });

      it("does not bring back what is deleted while it runs", async () => {
        await putAll("walked/7");
        const other = subject.second;
        await index.fill(() =>
          walk(400, async (at) => {
            if (at === 3) for (const gone of [1, 7, 390]) await other.delete(`walked/${gone}`);
            if (at === 350) for (const gone of [9, 350, 351]) await other.delete(`walked/${gone}`);
            if (at === 360) await putAll(["walked/351", "put again"]);
          }),
        );
        expect(await search("walked/")).to.include({ total: 395 });
        expect(await names("walked/351")).to.deep.equal(["walked/351"]);
        for (const gone of [1, 7, 9, 350, 390]) {
          expect((await names(`walked/${gone}`)).includes(`walked/${gone}`), String(gone)).to.equal(false);
        }
      });

      it("starts again after its source failed, and forgets what is no longer there", async () => {
        const failed = await index
          .fill(() =>
            walk(400, (at) => {
              if (at === 300) throw new Error("the storage is gone");
            }),
          )
          .catch((error: unknown) => error);
        expect(failed).to.be.instanceOf(Error).with.property("message", "the storage is gone");
        await putAll(["walked/2", "put between"]);
        await index.delete("walked/3");
        expect(await index.fill(() => renamed(250))).to.equal(249);
        expect(await search("walked/")).to.include({ total: 250 });
        expect((await search("", 1, 5)).results[0]).to.deep.equal({ name: "walked/0", description: "walked anew" });
        expect(await names("put between")).to.deep.equal(["walked/2"]);
        expect(await index.fill(unread)).to.equal(0);
      });

      it("accepts a source that yields a name twice", async () => {
        await index.fill(async function* () {
          yield* entries(10);
          yield* entries(10);
        });
        expect(await search("walked/")).to.include({ total: 10 });
      });

      it("is given up when the index is closed, and done by another if there is one", async () => {
        const { second } = subject;
        let walking = false;
        const given = index
          .fill(() =>
            walk(100_000, async () => {
              walking = true;
              await new Promise((resolve) => setImmediate(resolve));
            }),
          )
          .catch((error: unknown) => error);
        await until("the fill to begin", () => walking);
        const taken = second === index ? undefined : second.fill(() => entries(20));
        await index.close();
        expect(await given)
          .to.be.instanceOf(Error)
          .with.property("message")
          .that.matches(/closed/);
        if (!taken) return;
        expect(await taken).to.equal(20);
        expect(await second.search({ text: "", page: 1, pageSize: 1 })).to.include({ total: 20 });
      });
    });

    it("shows what another index over the same data puts and deletes at once", async () => {
      const { second } = subject;
      await second.put({ name: "by/second", description: "" });
      expect(await names("second")).to.deep.equal(["by/second"]);
      await index.delete("by/second");
      expect(await second.search({ text: "second", page: 1, pageSize: 10 })).to.include({ total: 0 });
    });

    it("can be closed twice, and rejects after it", async () => {
      await index.put({ name: "a/b", description: "" });
      await index.close();
      await index.close();
      const failure = await index.search({ text: "", page: 1, pageSize: 1 }).catch((error: unknown) => error);
      expect(failure).to.be.instanceOf(Error);
    });
  });
}

async function* walk(count: number, meet: (at: number) => Promise<void> | void): AsyncGenerator<SearchEntry> {
  for (let at = 0; at < count; at++) {
    await meet(at);
    yield { name: `walked/${at}`, description: "" };
  }
}

async function* entries(count: number): AsyncGenerator<SearchEntry> {
  yield* walk(count, () => undefined);
}

async function* renamed(count: number): AsyncGenerator<SearchEntry> {
  for await (const entry of entries(count)) yield { ...entry, description: "walked anew" };
}

function unread(): never {
  throw new Error("the source of an index that has been filled is read again");
}
