import { parseRepositoryName, unquotePlus, type RepositoryName } from "../registry/names.ts";
import type { Action } from "./caller.ts";

/** One of `auth.rules`: what `who` may do to repositories that one of the patterns fits. */
export interface Rule {
  /** Names of accounts, `group:NAME`, `anonymous` for whoever shows no credentials, `*` for every account. */
  readonly who: readonly string[];
  /** Names in which `*` stands for any characters. */
  readonly repositories: readonly string[];
  /** Nothing where it is empty. */
  readonly actions: readonly Action[];
}

/** Whom a rule may be about: an account, or nobody in particular. */
export type Subject = { readonly name: string; readonly groups: readonly string[] } | "anonymous";

/** What is allowed, and by which rule: its number from 1; undefined where none is about the case. */
export interface Decision {
  readonly allowed: boolean;
  readonly rule: number | undefined;
}

/** Where nothing is configured: every account may pull and push. What was pushed nobody deletes by accident. */
export const defaultRules: readonly Rule[] = [{ who: ["*"], repositories: ["*"], actions: ["pull", "push"] }];

/** Decides by rules: the first that is about the subject and the repository decides, whatever later ones say. */
export class Rules {
  readonly #rules: readonly { readonly rule: Rule; readonly fits: (repository: string) => boolean }[];

  constructor(rules: readonly Rule[] = defaultRules) {
    this.#rules = rules.map((rule) => ({ rule, fits: pattern(rule.repositories) }));
  }

  /** `repository` as clients of either protocol spell it. */
  decide(subject: Subject, action: Action, repository: string): Decision {
    const index = this.#rules.findIndex(({ rule, fits }) => isAbout(rule, subject) && fits(repository));
    const found = this.#rules[index];
    return found
      ? { allowed: found.rule.actions.includes(action), rule: index + 1 }
      : { allowed: false, rule: undefined };
  }

  /** Whether the subject may do something to every repository there could be. */
  allowsAll(subject: Subject, action: Action): boolean {
    for (const { rule } of this.#rules) {
      if (!isAbout(rule, subject)) continue;
      if (!rule.actions.includes(action)) return false;
      if (rule.repositories.includes("*")) return true;
    }
    return false;
  }

  /** Whether there is anything that the subject may do. */
  allowsAny(subject: Subject, action: Action): boolean {
    return this.#rules.some(({ rule }) => isAbout(rule, subject) && rule.actions.includes(action));
  }
}

function isAbout({ who }: Rule, subject: Subject): boolean {
  if (subject === "anonymous") return who.includes("anonymous");
  // Certificates may be for anybody: no name of somebody is one of these.
  const own = /^(anonymous$|group:)/.test(subject.name) ? "" : subject.name;
  return who.some((one) => one === "*" || one === own || isGroupOf(one, subject.groups));
}

function isGroupOf(one: string, groups: readonly string[]): boolean {
  return one.startsWith("group:") && groups.includes(one.slice("group:".length));
}

/** Whether a repository, by any of its spellings, fits one of the patterns; `*` stands for any characters. */
export function pattern(patterns: readonly string[]): (repository: string) => boolean {
  if (patterns.includes("*")) return () => true;
  const forms = patterns.map((each) => {
    const parts = each.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`);
  });
  return (repository) => {
    const names = spellings(repository);
    return forms.some((form) => names.some((name) => form.test(name)));
  };
}

const library = "library/";

/** Docker's `x` and `library/x` are one repository to V1, so rules take them for one. */
function spellings(repository: string): readonly string[] {
  if (!repository.includes("/")) return [repository, library + repository];
  const short = repository.startsWith(library) ? repository.slice(library.length) : "";
  return short === "" || short.includes("/") ? [repository] : [repository, short];
}

/** A repository of V1 as rules name it. */
export function ruleName({ namespace, name }: RepositoryName): string {
  return `${namespace}/${unquotePlus(name) ?? name}`;
}

/** The repository of V1 that rules name so; undefined where V1 could have none. */
export function repositoryOfRuleName(text: string): RepositoryName | undefined {
  try {
    return parseRepositoryName(text);
  } catch {
    return undefined;
  }
}
