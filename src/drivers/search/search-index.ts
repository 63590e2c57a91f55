/** A repository as search knows it; `name` is `namespace/name`. */
export interface SearchEntry {
  readonly name: string;
  readonly description: string;
}

/** One page of matches; `page` counts from 1, `total` is the number of all matches. */
export interface SearchPage {
  readonly total: number;
  readonly page: number;
  readonly pageSize: number;
  readonly results: readonly SearchEntry[];
}

/** What is asked: `text` matches name and description anywhere, in any case; empty matches everything. */
export interface SearchQuery {
  readonly text: string;
  readonly page: number;
  readonly pageSize: number;
}

/** Derived data: what `docker search` finds. It can be lost and filled again from storage at any time. */
export interface SearchIndex {
  readonly name: string;
  /** Best matches first: the exact name, then names that start with it, then names, then descriptions. */
  search(query: SearchQuery): Promise<SearchPage>;
  /** Adds or updates. */
  put(entry: SearchEntry): Promise<void>;
  /** Afterwards it is not found; that it wasn't there is fine. */
  delete(name: string): Promise<void>;
  /**
   * Adds every entry of `source` unless the index has been filled before. Runs once however many processes call it at
   * the same time; an interrupted fill starts again at the next call. Answers how many it added.
   */
  fill(source: () => AsyncIterable<SearchEntry>): Promise<number>;
  ping(): Promise<void>;
  close(): Promise<void>;
}
