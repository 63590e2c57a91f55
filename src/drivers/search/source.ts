import { DataSource, MigrationExecutor } from "typeorm";
import type { DatabaseTarget } from "./database-url.ts";
import { postgresOptions } from "./postgres.ts";
import { CreateSearchIndex1767225600000, fillSchema, repositorySchema } from "./schema.ts";
import { sqliteOptions } from "./sqlite.ts";

/** Any number, as long as every registryctl that migrates the same database takes the same. */
const migrationLock = 7_370_401_182;

/**
 * Connects, and brings the tables up to date: one process at a time, however many start at once, and wholly or not at all.
 * `retried` repeats what met a locked SQLite file.
 */
export async function openSource(
  target: DatabaseTarget,
  retried: (work: () => Promise<void> | void) => Promise<void>,
): Promise<DataSource> {
  const options = target.kind === "sqlite" ? await sqliteOptions(target, retried) : await postgresOptions(target);
  const source = new DataSource({
    ...options,
    entities: [repositorySchema, fillSchema],
    migrations: [CreateSearchIndex1767225600000],
    migrationsTableName: "registryctl_search_migration",
    synchronize: false,
    logging: false,
  });
  await source.initialize();
  try {
    await migrate(source, retried);
    return source;
  } catch (error) {
    await source.destroy();
    throw error;
  }
}

/** The lock is the transaction's own (SQLite's write lock, an advisory lock of PostgreSQL), so it dies with its holder. */
async function migrate(source: DataSource, retried: (work: () => Promise<void>) => Promise<void>): Promise<void> {
  const runner = source.createQueryRunner();
  const execute = (sql: string) => async () => {
    await runner.query(sql);
  };
  try {
    await retried(execute(source.options.type === "postgres" ? "BEGIN" : "BEGIN IMMEDIATE"));
    try {
      if (source.options.type === "postgres") await runner.query(`SELECT pg_advisory_xact_lock(${migrationLock})`);
      const executor = new MigrationExecutor(source, runner);
      executor.transaction = "none";
      await executor.executePendingMigrations();
      await retried(execute("COMMIT"));
    } catch (error) {
      await runner.query("ROLLBACK").catch(() => undefined);
      throw error;
    }
  } finally {
    await runner.release();
  }
}
