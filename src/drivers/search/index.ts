import { DatabaseSearchIndex } from "./database.ts";
import { parseDatabaseUrl } from "./database-url.ts";
import { emptySearchIndex } from "./empty.ts";
import { SearchIndexError } from "./errors.ts";
import { openModule } from "./module.ts";
import type { SearchIndex } from "./search-index.ts";

export interface SearchIndexOptions {
  /** `search_backend`: empty or absent, `database` (or `sqlalchemy`), or the path or package of a module. */
  readonly backend?: string | undefined;
  /** `sqlalchemy_index_database`. */
  readonly databaseUrl?: string | undefined;
  /** The folder of the configuration file, from which modules are looked up. */
  readonly folder: string;
}

/**
 * The index that the configuration names. A database is not connected to yet: `ping` tells whether it answers.
 * Rejects with a SearchIndexError when the configuration can't be followed.
 */
export async function openSearchIndex(options: SearchIndexOptions): Promise<SearchIndex> {
  const { backend = "", databaseUrl, folder } = options;
  switch (backend) {
    case "":
      return emptySearchIndex();
    case "database":
    case "sqlalchemy":
      if (!databaseUrl) throw new SearchIndexError("The search backend needs the URL of a database");
      return new DatabaseSearchIndex(parseDatabaseUrl(databaseUrl));
    default:
      return await openModule(backend, { databaseUrl, folder });
  }
}
