import type { SearchEntry, SearchIndex } from "../../drivers/search/search-index.ts";
import type { Log } from "../log.ts";
import { repositoryText } from "../registry/names.ts";
import type { Registry } from "../registry/registry.ts";
import type { Events } from "../registry/events.ts";

/** The work of keeping an index. `close` ends it, waiting for what has begun, and closes the index. */
export interface KeptSearchIndex {
  close(): Promise<void>;
}

/**
 * Keeps the search index up to date with events and, where `fill` is set, fills an index that is new from the store,
 * beside the serving. An index that does not answer hurts no push.
 */
export function keepSearchIndex(parts: {
  readonly search: SearchIndex;
  readonly events: Events;
  readonly registry: Registry;
  readonly log: Log;
  readonly fill: boolean;
}): KeptSearchIndex {
  const { search, events, registry, log } = parts;
  events.listen(async ({ type, repository }) => {
    if (type === "repository.deleted") {
      await search.delete(repository);
      return;
    }
    const { listed, hidden } = await registry.catalog.listing(repository);
    await search.put({ name: listed, description: "" });
    if (hidden !== undefined) await search.delete(hidden);
  });
  let closed = false;
  const fill = async () => {
    try {
      const added = await search.fill(() => searchEntries(registry, () => closed));
      if (added > 0) log.info({ repositories: added }, "Filled the search index from the store");
    } catch (err) {
      if (!closed)
        log.error({ err }, "The search index could not be filled from the store; the next start tries again");
    }
  };
  const filled = parts.fill ? fill() : Promise.resolve();
  return {
    close: async () => {
      closed = true;
      await search.close(); // first: a fill may be waiting for another server's
      await filled;
    },
  };
}

/** Every repository of the store, of both protocols; throws when `isClosed`, so that a fill cut short does not count as one. */
export async function* searchEntries({ own, catalog }: Registry, isClosed: () => boolean): AsyncGenerator<SearchEntry> {
  for await (const repository of own.repositories.all()) {
    if (isClosed()) throw new Error("the server is stopping");
    yield { name: (await catalog.listing(repositoryText(repository))).listed, description: "" };
  }
  for await (const name of catalog.list()) {
    if (isClosed()) throw new Error("the server is stopping");
    yield { name, description: "" };
  }
}
