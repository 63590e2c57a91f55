/** The search index cannot be used as configured, or does not answer. The message never holds credentials. */
export class SearchIndexError extends Error {
  override readonly name = "SearchIndexError";
}
