import type { SearchIndex } from "./search-index.ts";

/** An index that keeps nothing and finds nothing: what a registry without a `search_backend` answers from. */
export function emptySearchIndex(): SearchIndex {
  return {
    name: "empty",
    search: ({ page, pageSize }) => Promise.resolve({ total: 0, page, pageSize, results: [] }),
    put: () => Promise.resolve(),
    delete: () => Promise.resolve(),
    fill: () => Promise.resolve(0),
    ping: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
