import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import Libsql from "libsql";
import { SearchIndexError } from "../../../src/drivers/search/errors.ts";
import { openSearchIndex } from "../../../src/drivers/search/index.ts";
import { Program, removeFolder, temporaryFolder } from "../../support/program.ts";

describe("a search index in an SQLite file", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder, "index.db");
  });
  afterEach(async () => {
    await removeFolder(folder);
  });

  const using = async (work: (index: Awaited<ReturnType<typeof openSearchIndex>>) => Promise<void>, file = path) => {
    const index = await openSearchIndex({ backend: "sqlalchemy", databaseUrl: `sqlite:///${file}`, folder });
    try {
      await work(index);
    } finally {
      await index.close();
    }
  };
  const permissions = async (file: string) => ((await stat(file)).mode & 0o777).toString(8);

  it("makes the folder, and a file that only its owner may read", async () => {
    const file = join(folder, "new", "folder", "index.db");
    await using(async (index) => {
      await index.put({ name: "a/b", description: "" });
      expect(await permissions(file)).to.equal("600");
      expect(await permissions(`${file}-wal`)).to.equal("600");
    }, file);
  });

  it("keeps what it holds, in the journal mode in which readers do not wait for writers", async () => {
    await using((index) => index.put({ name: "a/b", description: "kept" }));
    await using(async (index) => {
      expect((await index.search({ text: "kept", page: 1, pageSize: 5 })).total).to.equal(1);
    });
    const database = new Libsql(path);
    expect(database.pragma("journal_mode")).to.deep.equal([{ journal_mode: "wal" }]);
    database.close();
  });

  it("lives beside the tables of a Python registry, which stay as they are", async () => {
    const old = new Libsql(path);
    old.exec(`
      CREATE TABLE version (id INTEGER NOT NULL, PRIMARY KEY (id));
      CREATE TABLE repository (id INTEGER NOT NULL, name VARCHAR(95) NOT NULL, description VARCHAR(100), PRIMARY KEY (id), UNIQUE (name));
      INSERT INTO version VALUES (1);
      INSERT INTO repository VALUES (1, 'library/old', NULL), (2, 'team/other', 'words')`);
    const schema = "SELECT sql FROM sqlite_master WHERE name IN ('version', 'repository') ORDER BY name";
    const before = [old.prepare(schema).all(), old.prepare("SELECT * FROM repository").all()];
    old.close();
    await using(async (index) => {
      expect(await index.search({ text: "", page: 1, pageSize: 5 })).to.include({ total: 0 });
      await index.put({ name: "library/old", description: "new" });
    });
    const now = new Libsql(path);
    expect([now.prepare(schema).all(), now.prepare("SELECT * FROM repository").all()]).to.deep.equal(before);
    expect(now.prepare("SELECT * FROM version").all()).to.deep.equal([{ id: 1 }]);
    now.close();
  });

  for (const moment of ["when it is opened", "when it is used"]) {
    it(`waits for another that writes ${moment}, without holding up this process`, async () => {
      await using(async (index) => {
        if (moment === "when it is used") await index.ping();
        const other = new Libsql(path);
        other.pragma("journal_mode = WAL");
        other.exec("BEGIN IMMEDIATE");
        let turns = 0;
        const ticking = setInterval(() => {
          if (++turns === 20) other.exec("COMMIT");
        }, 5);
        try {
          await index.put({ name: "a/b", description: "" });
        } finally {
          clearInterval(ticking);
          other.close();
        }
        expect(turns).to.be.at.least(20);
        expect(await index.search({ text: "a/b", page: 1, pageSize: 5 })).to.include({ total: 1 });
      });
    });
  }

  it("makes its tables once when several open a new file at the same time", async () => {
    const options = { backend: "database", databaseUrl: `sqlite:///${path}`, folder };
    const indexes = await Promise.all(Array.from({ length: 8 }, () => openSearchIndex(options)));
    await Promise.all(indexes.map((index, at) => index.put({ name: `a/${at}`, description: "" })));
    expect(await indexes[0]?.search({ text: "", page: 1, pageSize: 1 })).to.include({ total: 8 });
    await Promise.all(indexes.map((index) => index.close()));
  });

  it("keeps no trace of what was deleted, once the fill that it was deleted in is done", async () => {
    await using(async (index) => {
      await index.put({ name: "a/b", description: "" });
      await index.delete("a/b");
      await index.fill(async function* () {
        yield { name: "a/c", description: "" };
        await index.delete("a/c");
        await index.delete("a/d");
        yield { name: "a/e", description: "" };
      });
    });
    const database = new Libsql(path);
    expect(database.prepare("SELECT name FROM registryctl_search_repository").all()).to.deep.equal([{ name: "a/e" }]);
    database.close();
  });

  it("says what to do with a file that is no database, and leaves it alone", async () => {
    await writeFile(path, "this is not a database, it is a letter to a friend".repeat(100));
    const before = await readFile(path);
    await using(async (index) => {
      const failure = await index.ping().catch((error: unknown) => error);
      expect(failure)
        .to.be.instanceOf(SearchIndexError)
        .with.property("message")
        .that.matches(/index\.db.*move the file away/);
    });
    expect(await readFile(path)).to.deep.equal(before);
  });

  it("rejects where it cannot write, and works once it can", async () => {
    await writeFile(join(folder, "taken"), "a file where a folder has to be");
    await using(
      async (index) => {
        const failure = await index.put({ name: "a/b", description: "" }).catch((error: unknown) => error);
        expect(failure).to.be.instanceOf(SearchIndexError).with.property("message").that.includes("taken");
        await removeFolder(join(folder, "taken"));
        await mkdir(join(folder, "taken"));
        await index.put({ name: "a/b", description: "" });
      },
      join(folder, "taken", "index.db"),
    );
  });

  it("is opened without loading TypeORM", async () => {
    const program = `
      import { createRequire } from "node:module";
      import { openSearchIndex } from ${JSON.stringify(new URL("../../../src/drivers/search/index.ts", import.meta.url))};
      const loaded = () => Object.keys(createRequire("/").cache).some((path) => path.includes("/typeorm/"));
      const index = await openSearchIndex({ backend: "database", databaseUrl: "sqlite://", folder: "/" });
      const before = loaded();
      await index.ping();
      console.log(before, loaded());
      await index.close();`;
    const child = new Program(process.execPath, ["--import=tsx", "--input-type=module", "--eval", program]);
    expect(await child.exited, child.output).to.equal(0);
    expect(child.output).to.equal("false true\n");
  });
});
