import type { SelectQueryBuilder } from "typeorm";
import { Connection, type Tables } from "./connection.ts";
import type { DatabaseTarget } from "./database-url.ts";
import { Fill } from "./fill.ts";
import { fold, storable } from "./fold.ts";
import { rowOf } from "./row.ts";
import type { RepositoryRow } from "./schema.ts";
import type { SearchEntry, SearchIndex, SearchPage, SearchQuery } from "./search-index.ts";

/**
 * An index in SQLite or PostgreSQL. Connects at the first call; while the database is out of reach every method rejects
 * with a SearchIndexError, and works again when it is back. Several processes may use the same database.
 */
export class DatabaseSearchIndex implements SearchIndex {
  readonly name: string;
  readonly #connection: Connection;
  readonly #closing = new AbortController();
  readonly #fills = new Set<Fill>();

  constructor(target: DatabaseTarget) {
    this.name = target.kind;
    this.#connection = new Connection(target);
  }

  async search({ text, page, pageSize }: SearchQuery): Promise<SearchPage> {
    const folded = fold(text);
    const total = await this.#connection.run((tables) => matching(tables, folded).getCount());
    const offset = (page - 1) * pageSize;
    if (offset >= total) return { total, page, pageSize, results: [] };
    const rows = await this.#connection.run((tables) =>
      ranked(tables, folded).offset(offset).limit(pageSize).getRawMany<SearchEntry>(),
    );
    return { total, page, pageSize, results: rows.map(({ name, description }) => ({ name, description })) };
  }

  async put(entry: SearchEntry): Promise<void> {
    await this.#upsert(rowOf(entry));
  }

  /** Marks the row, so that no running fill brings it back, and removes it when none is running. */
  async delete(name: string): Promise<void> {
    await this.#upsert(rowOf({ name, description: "" }, { deleted: true }));
    await this.#connection.run(({ repositories }) =>
      repositories
        .createQueryBuilder()
        .delete()
        .where("name = :name AND deleted", { name: storable(name) })
        .andWhere("NOT EXISTS (SELECT 1 FROM registryctl_search_fill WHERE owner <> '')")
        .execute(),
    );
  }

  async fill(source: () => AsyncIterable<SearchEntry>): Promise<number> {
    const fill = new Fill(this.#connection, this.#closing.signal);
    this.#fills.add(fill);
    try {
      return await fill.run(source);
    } finally {
      this.#fills.delete(fill);
    }
  }

  async ping(): Promise<void> {
    await this.#connection.run(({ fills }) => fills.findOneByOrFail({ id: 1 }));
  }

  /** A fill that runs here is given up: it rejects, and another process, or the next start, begins it anew. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([...this.#fills].map((fill) => fill.release()));
    await this.#connection.close();
  }

  async #upsert(row: RepositoryRow): Promise<void> {
    await this.#connection.run(({ repositories }) => repositories.upsert(row, ["name"]));
  }
}

/** Everything that `text` (folded) is found in; everything when it is empty. */
function matching({ repositories, position }: Tables, text: string): SelectQueryBuilder<RepositoryRow> {
  const query = repositories.createQueryBuilder("r").where("NOT r.deleted");
  if (text === "") return query;
  return query.andWhere(
    `(${position("r.foldedName", ":text")} > 0 OR ${position("r.foldedDescription", ":text")} > 0)`,
    { text },
  );
}

/** What matches, best first: the exact name (or its last part), names that begin so, names, descriptions; then by name. */
function ranked(tables: Tables, text: string): SelectQueryBuilder<RepositoryRow> {
  const query = matching(tables, text).select("r.name", "name").addSelect("r.description", "description");
  if (text === "") return query.orderBy("r.name");
  const { position } = tables;
  const rank = `CASE
    WHEN r.foldedName = :text OR r.foldedLast = :text THEN 0
    WHEN ${position("r.foldedName", ":text")} = 1 OR ${position("r.foldedLast", ":text")} = 1 THEN 1
    WHEN ${position("r.foldedName", ":text")} > 0 THEN 2
    ELSE 3 END`;
  return query.addSelect(rank, "rank").orderBy("rank").addOrderBy("r.name");
}
