import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { openSearchIndex } from "../../../src/drivers/search/index.ts";
import type { SearchEntry, SearchIndex } from "../../../src/drivers/search/search-index.ts";
import { compiled } from "../../support/compiled.ts";
import { needs } from "../../support/needs.ts";
import { PostgresServer, postgresPrograms } from "../../support/postgres.ts";
import { Program, removeFolder, temporaryFolder, until } from "../../support/program.ts";

const letters = ["a", "b", "c"];
const script = new URL("fixtures/busy-process.ts", import.meta.url);

describe("several processes with one search index", () => {
  let folder: string;
  let storage: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
    storage = join(folder, "storage");
    await mkdir(storage);
  });
  afterEach(async () => {
    await removeFolder(folder);
  });

  const store = async (count: number) => {
    for (let at = 0; at < count; at++) {
      await writeFile(join(storage, `${letters[at % 3] ?? ""}-${String(at).padStart(5, "0")}`), `description ${at}`);
    }
  };
  const start = (databaseUrl: string, letter: string) =>
    new Program(process.execPath, [...compiled(script), storage, databaseUrl, letter]);

  /** All three fill and change at once, from an empty database; then the index holds what the storage holds. */
  const race = async (databaseUrl: string) => {
    await store(900);
    const programs = letters.map((letter) => start(databaseUrl, letter));
    const codes = await Promise.all(programs.map((program) => program.exited));
    const outputs = programs.map((program) => program.output);
    expect(codes, outputs.join("\n")).to.deep.equal([0, 0, 0]);
    expect(outputs.filter((output) => output === "added 0\n")).to.have.lengthOf(2);
    expect(await everything(databaseUrl)).to.deep.equal(await contents(storage));
  };

  /** One is killed in the middle of its fill; once its lease has run out, the next fills anew. */
  const interruption = async (databaseUrl: string) => {
    await store(2000);
    const killed = start(databaseUrl, "stuck");
    const index = await openSearchIndex({ backend: "database", databaseUrl, folder: "/" });
    try {
      const all = { text: "", page: 1, pageSize: 1 };
      await until("half of the fill", async () => (await index.search(all)).total === 1000);
      await killed.stop("SIGKILL");
      await writeFile(join(storage, "a-00000"), "changed while nobody looked");
      const next = start(databaseUrl, "none");
      await expire(databaseUrl);
      expect(await next.exited, next.output).to.equal(0);
      expect(next.output).to.equal("added 2000\n");
      expect(await everything(databaseUrl)).to.deep.equal(await contents(storage));
    } finally {
      await index.close();
    }
  };

  describe("in an SQLite file", () => {
    it("fill it once and lose no change", async () => {
      await race(`sqlite:///${join(folder, "index.db")}`);
    }).timeout(60_000);

    it("take over from one that was killed", async () => {
      await interruption(`sqlite:///${join(folder, "index.db")}`);
    }).timeout(60_000);
  });

  describe("in PostgreSQL", () => {
    let server: PostgresServer;
    beforeEach(async function () {
      needs(this, ...postgresPrograms);
      server = await PostgresServer.start();
    });
    afterEach(async () => {
      await (server as PostgresServer | undefined)?.destroy();
    });

    it("fill it once and lose no change", async () => {
      await race(server.url());
    }).timeout(60_000);

    it("take over from one that was killed", async () => {
      await interruption(server.url());
    }).timeout(60_000);
  });
});

async function everything(databaseUrl: string): Promise<SearchEntry[]> {
  const index = await openSearchIndex({ backend: "database", databaseUrl, folder: "/" });
  try {
    return await pages(index);
  } finally {
    await index.close();
  }
}

async function pages(index: SearchIndex): Promise<SearchEntry[]> {
  const found: SearchEntry[] = [];
  for (let page = 1; ; page++) {
    const { results, total } = await index.search({ text: "", page, pageSize: 100 });
    found.push(...results);
    if (results.length === 0) {
      expect(found).to.have.lengthOf(total);
      return found;
    }
  }
}

async function contents(storage: string): Promise<SearchEntry[]> {
  const names = (await readdir(storage)).sort();
  return await Promise.all(
    names.map(async (name) => ({ name, description: await readFile(join(storage, name), "utf8") })),
  );
}

/** Lets the lease of a dead owner run out now rather than in a while. */
async function expire(databaseUrl: string): Promise<void> {
  const { DataSource } = await import("typeorm");
  const source = databaseUrl.startsWith("sqlite")
    ? new DataSource({
        type: "better-sqlite3",
        driver: (await import("libsql")).default,
        database: databaseUrl.slice("sqlite:///".length),
      })
    : new DataSource({ type: "postgres", url: databaseUrl });
  await source.initialize();
  await source.query("UPDATE registryctl_search_fill SET expires = 0");
  await source.destroy();
}
