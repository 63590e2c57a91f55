import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import type { FileRow } from "./file-rows.ts";

/** What became of a file, in the order in which a diff tells it. */
export const verdicts = ["deleted", "changed", "created"] as const;
export type Verdict = (typeof verdicts)[number];

/**
 * The files of one layer, millions of them in little memory: a temporary SQLite database. Its file has no name once it
 * is open, so nothing is left whatever happens to the process.
 */
export class FileTable {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  static async create(): Promise<FileTable> {
    const folder = await mkdtemp(join(tmpdir(), "registryctl-diff-"));
    try {
      const database = new Database(join(folder, "files"));
      // Nothing of it must outlive a crash; all of it may spill to the disk.
      database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE");
      database.exec("PRAGMA cache_size = -16384");
      database.exec(schema);
      database.exec("BEGIN");
      return new FileTable(database);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Adds files; of two with the same name the later one counts. */
  add(rows: readonly FileRow[]): void {
    const values = rows.map(({ name, isDeleted, info }) => [name, isDeleted ? "deleted" : undefined, info]);
    this.#database.prepare(insert).run(JSON.stringify(values));
  }

  /** Decides on the files that an ancestor has too, unless a nearer one (of another `level`) has decided. */
  decide(rows: readonly FileRow[], level: number): void {
    const last = new Map(rows.map(({ name, isDeleted }) => [name, isDeleted]));
    for (const isDeleted of [true, false]) {
      const names = [...last].flatMap(([name, deleted]) => (deleted === isDeleted ? [name] : []));
      if (names.length === 0) continue;
      // A file that an ancestor had deleted has come back.
      this.#database.prepare(update).run(isDeleted ? "created" : "changed", level, JSON.stringify(names), level);
    }
  }

  /** Whether there are files that no ancestor has decided on yet. */
  get hasUndecided(): boolean {
    return this.#database.prepare("SELECT 1 FROM files WHERE verdict IS NULL LIMIT 1").get() !== undefined;
  }

  /** In the order in which they were added. Files that no ancestor had are created. */
  *files(verdict: Verdict): Generator<{ readonly name: string; readonly info: string }> {
    const select = this.#database.prepare(
      "SELECT name, info FROM files WHERE ifnull(verdict, 'created') = ? ORDER BY id",
    );
    for (const row of select.iterate(verdict)) yield parseFile(row);
  }

  close(): void {
    this.#database.close();
  }
}

const schema = `CREATE TABLE files (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, verdict TEXT, level INTEGER, info TEXT NOT NULL)`;

const insert = `INSERT INTO files (name, verdict, info)
  SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE true
  ON CONFLICT (name) DO UPDATE SET verdict = excluded.verdict, info = excluded.info`;

const update = `UPDATE files SET verdict = ?, level = ?
  WHERE name IN (SELECT value FROM json_each(?)) AND (verdict IS NULL OR level = ?)`;

function parseFile(row: unknown): { readonly name: string; readonly info: string } {
  return row as { readonly name: string; readonly info: string };
}
