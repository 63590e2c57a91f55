import { repositoryText, type ImageId, type RepositoryName } from "../names.ts";

/** What a problem means: `broken` is what clients can't pull, a `warning` what not all can, a `note` what hurts nobody. */
export type Severity = "broken" | "warning" | "note";

/** How bad each kind of problem is. */
const severities = {
  "document-damaged": "broken",
  "image-missing": "broken",
  "image-untranslatable": "broken",
  "layer-damaged": "broken",
  "layer-missing": "broken",
  "push-unfinished": "broken",
  "tag-dangling": "broken",
  "checksum-differs": "warning",
  "name-unspellable": "warning",
  "tag-unspellable": "warning",
  "blob-damaged": "broken",
  "blob-missing": "broken",
  "manifest-damaged": "broken",
  "manifest-missing": "broken",
  "checksum-missing": "note",
  "image-untagged": "note",
  "push-abandoned": "note",
} as const satisfies Readonly<Record<string, Severity>>;

export type ProblemKind = keyof typeof severities;

/** Something in a store that is not as it should be. */
export interface Problem {
  readonly severity: Severity;
  readonly kind: ProblemKind;
  /** As clients spell it. */
  readonly repository?: string;
  readonly tag?: string;
  readonly image?: string;
  readonly digest?: string;
  /** A sentence without its full stop: what is wrong, and what that means for clients. */
  readonly message: string;
  /** A name or tag that V2 can spell. */
  readonly suggestion?: string;
}

/** A problem of its kind. */
export function problem(kind: ProblemKind, message: string, place: Partial<Problem> = {}): Problem {
  return { severity: severities[kind], kind, ...place, message };
}

/** Where a problem of V1 is. */
export function placeOf(repository: RepositoryName, tag?: string, image?: ImageId): Partial<Problem> {
  return {
    repository: repositoryText(repository),
    ...(tag !== undefined && { tag }),
    ...(image !== undefined && { image }),
  };
}
