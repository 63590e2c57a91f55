import { constants } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import Libsql from "libsql";
import type { DataSourceOptions } from "typeorm";
import type { SqliteTarget } from "./database-url.ts";

/**
 * How long SQLite itself waits for another process. It blocks the event loop meanwhile, so this is short: longer waits
 * are `Connection`'s, which waits without blocking.
 */
const busyTimeout = 20;

/**
 * Options for an SQLite file that several processes use at once. A new file, and its folder, are made here: names of
 * private repositories are in it, so nobody else may read it. `retried` repeats what met a locked database.
 */
export async function sqliteOptions(
  target: SqliteTarget,
  retried: (work: () => void) => Promise<void>,
): Promise<DataSourceOptions> {
  if (target.path !== undefined) {
    await mkdir(dirname(target.path), { recursive: true });
    const file = await open(target.path, constants.O_CREAT | constants.O_RDWR, 0o600);
    await file.close();
  }
  return {
    type: "better-sqlite3",
    driver: Libsql,
    database: target.path ?? ":memory:",
    timeout: busyTimeout,
    prepareDatabase: async (database: Libsql.Database) => {
      // Not within a busy timeout: the change of the journal mode fails at once when the file is locked.
      await retried(() => database.pragma("journal_mode = WAL"));
      // Safe with WAL against corruption; a power cut can lose the last changes, which storage still knows.
      database.pragma("synchronous = NORMAL");
    },
  };
}
