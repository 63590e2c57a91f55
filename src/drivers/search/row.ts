import { fold, storable } from "./fold.ts";
import type { RepositoryRow } from "./schema.ts";
import type { SearchEntry } from "./search-index.ts";

/** The row for `entry`, put by an event unless `origin` says otherwise. */
export function rowOf(
  entry: SearchEntry,
  origin: Partial<Pick<RepositoryRow, "fill" | "deleted">> = {},
): RepositoryRow {
  const foldedName = fold(entry.name);
  return {
    name: storable(entry.name),
    description: storable(entry.description),
    foldedName,
    foldedLast: foldedName.slice(foldedName.lastIndexOf("/") + 1),
    foldedDescription: fold(entry.description),
    fill: 0,
    deleted: false,
    ...origin,
  };
}
