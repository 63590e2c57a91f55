import { setImmediate, setTimeout } from "node:timers/promises";
import type { DataSource, Repository } from "typeorm";
import type { DatabaseTarget } from "./database-url.ts";
import { SearchIndexError } from "./errors.ts";
import type { FillRow, RepositoryRow } from "./schema.ts";

/** What a statement needs: the tables, and the expressions in which the databases differ. */
export interface Tables {
  readonly repositories: Repository<RepositoryRow>;
  readonly fills: Repository<FillRow>;
  /** SQL for the position (from 1) of one text in another, 0 if it isn't there. No character is special to it. */
  readonly position: (haystack: string, needle: string) => string;
  /** SQL for the milliseconds since 1970. */
  readonly now: string;
}

/** How long a statement is repeated while another process holds the lock of an SQLite file. */
const patience = 10_000;

/**
 * The connection to the database of the index. It is made by the first `run`, so that a dead database, or the loading of
 * TypeORM, holds up no start; one that could not be made is tried again by the next `run`.
 */
export class Connection {
  readonly target: DatabaseTarget;
  #source: Promise<DataSource> | undefined;
  #closed = false;

  constructor(target: DatabaseTarget) {
    this.target = target;
  }

  /**
   * Runs one statement. `work` may be repeated: SQLite answers BUSY instead of changing anything when another process
   * writes. Several statements are no transaction. Rejects with a SearchIndexError.
   */
  async run<T>(work: (tables: Tables) => Promise<T>): Promise<T> {
    try {
      const source = await this.#connected();
      const tables = await tablesOf(source);
      if (this.target.kind === "postgres") return await work(tables);
      // SQLite answers on this thread: let requests have their turn between two statements.
      await setImmediate();
      return await retried(() => work(tables));
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** Afterwards every method rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    const source = await this.#source?.catch(() => undefined);
    this.#source = undefined;
    await source?.destroy();
  }

  async #connected(): Promise<DataSource> {
    if (this.#closed) throw new Error("closed");
    this.#source ??= open(this.target);
    const source = this.#source;
    try {
      return await source;
    } catch (error) {
      if (this.#source === source) this.#source = undefined;
      throw error;
    }
  }

  #explained(error: unknown): SearchIndexError {
    if (error instanceof SearchIndexError) return error;
    // Whatever a statement met when the connection was taken from under it.
    if (this.#closed) return new SearchIndexError(`The search index ${this.target.label} has been closed`);
    const { reason, cause } = reasonOf(error);
    const password = this.target.kind === "postgres" ? this.target.password : undefined;
    const hidden = password !== undefined && reason.includes(password);
    const advice = /SQLITE_(NOTADB|CORRUPT)|not a database|malformed/.test(reason)
      ? ". The index is derived data: stop the registry, move the file away and it is filled again"
      : "";
    return new SearchIndexError(
      `The search index ${this.target.label} does not answer: ${hidden ? reason.replaceAll(password, "***") : reason}${advice}`,
      hidden ? {} : { cause },
    );
  }
}

async function open(target: DatabaseTarget): Promise<DataSource> {
  const { openSource } = await import("./source.ts");
  return await openSource(target, retried);
}

async function tablesOf(source: DataSource): Promise<Tables> {
  const { fillSchema, repositorySchema } = await import("./schema.ts");
  const sqlite = source.options.type !== "postgres";
  return {
    repositories: source.getRepository(repositorySchema),
    fills: source.getRepository(fillSchema),
    position: (haystack, needle) => `${sqlite ? "instr" : "strpos"}(${haystack}, ${needle})`,
    now: sqlite
      ? "CAST((julianday('now') - 2440587.5) * 86400000 AS integer)"
      : "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
  };
}

/** Repeats `work` while SQLite says that another process has locked the file, giving requests their turn meanwhile. */
async function retried<T>(work: () => Promise<T> | T): Promise<T> {
  const deadline = Date.now() + patience;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || Date.now() > deadline) throw error;
    }
    await setTimeout(Math.random() * Math.min(5 * attempt, 50));
  }
}

function isBusy(error: unknown): boolean {
  const { code } = reasonOf(error);
  return code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED");
}

/** The database's own words: without the statement that TypeORM adds, and of several attempts at several addresses the first. */
function reasonOf(error: unknown): { reason: string; code: string; cause: unknown } {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (error instanceof Error && "driverError" in error) return reasonOf(error.driverError);
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  return { reason: error instanceof Error ? error.message || code : String(error), code, cause: error };
}
