import { parseRepositoryName, parseTagName, unquotePlus, type RepositoryName, type TagName } from "../names.ts";
import { isOciName, isOciTag, type OciName, type OciTag } from "../oci-names.ts";

/** Why V2 cannot spell a name of V1, and what it could be called there. */
export interface Misfit {
  /** Whole clauses, such as `V2 names have no upper-case letters`. */
  readonly reason: string;
  /** One that V2 can spell. Two names may have the same suggestion: whoever renames has to look. */
  readonly suggestion: string;
}

const longestName = 255;
const longestTag = 128;
/** For names that have nothing V2 could spell. */
const nameless = "unnamed";

/**
 * The names that a repository of V1 has in V2, most explicit first: docker's `x` is `library/x`, so that one has two.
 * None where V2 cannot spell it; `nameMisfit` says why.
 */
export function ociNamesOf(repository: RepositoryName): readonly OciName[] {
  const { namespace } = repository;
  const name = rawName(repository);
  const spellings = [`${namespace}/${name}`, ...(namespace === "library" && !name.includes("/") ? [name] : [])];
  return spellings.filter(isOciName);
}

/** Undefined for a repository that `ociNamesOf` has names for. */
export function nameMisfit(repository: RepositoryName): Misfit | undefined {
  if (ociNamesOf(repository).length > 0) return undefined;
  const name = `${repository.namespace}/${rawName(repository)}`;
  return { reason: nameProblem(name), suggestion: suggestedName(name) };
}

/**
 * The repository of V1 that a name of V2 stands for: what comes before its first slash is the namespace, `library`
 * where there is none. Undefined for the few that are too long for V1.
 */
export function v1RepositoryOf(name: OciName): RepositoryName | undefined {
  try {
    return parseRepositoryName(name);
  } catch {
    return undefined;
  }
}

/** The tag as V2 spells it, which is the same; undefined where it can't, and `tagMisfit` says why. */
export function ociTagOf(tag: TagName): OciTag | undefined {
  return isOciTag(tag) ? tag : undefined;
}

/** Undefined for a tag that V2 can spell. */
export function tagMisfit(tag: TagName): Misfit | undefined {
  return isOciTag(tag) ? undefined : { reason: tagProblem(tag), suggestion: suggestedTag(tag) };
}

/** The tag as V1 spells it: V1 takes every tag of V2. */
export function v1TagOf(tag: OciTag): TagName {
  return parseTagName(tag);
}

function rawName({ name }: RepositoryName): string {
  return unquotePlus(name) ?? name;
}

function nameProblem(name: string): string {
  if (name.length > longestName) return `V2 names have at most ${longestName} characters`;
  if (/[^a-z0-9._/-]/.test(name.toLowerCase())) return "V2 names have only letters, digits, ., _, - and /";
  if (/[A-Z]/.test(name)) return "V2 names have no upper-case letters";
  return "the parts of V2 names begin and end with a letter or digit, with one ., _, __ or dashes between";
}

function tagProblem(tag: string): string {
  if (tag.length > longestTag) return `V2 tags have at most ${longestTag} characters`;
  if (/^[.-]/.test(tag)) return "V2 tags begin with a letter, digit or _";
  return "V2 tags have only letters, digits, ., _ and -";
}

function suggestedName(name: string): string {
  const components = name.toLowerCase().split("/").map(suggestedComponent);
  return components
    .join("/")
    .slice(0, longestName)
    .replace(/[^a-z0-9]+$/, "");
}

function suggestedComponent(component: string): string {
  const spelt = component
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/[._-]{2,}/g, (between) => (/^(?:__|-+)$/.test(between) ? between : "-"))
    .replace(/^[._-]+|[._-]+$/g, "");
  return spelt === "" ? nameless : spelt;
}

function suggestedTag(tag: string): string {
  const spelt = tag
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[.-]+/, "")
    .slice(0, longestTag);
  return spelt === "" ? nameless : spelt;
}
