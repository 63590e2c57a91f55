import type { KeyLimits } from "../accounts/accounts.ts";

/** What can be done to a repository. */
export const actions = ["pull", "push", "delete"] as const;
export type Action = (typeof actions)[number];

/** Something of a repository; its names are as rules have them. */
export interface RepositoryWanted {
  readonly action: Action;
  /** Undefined where the request says none, as those for images of V1. */
  readonly repository?: string | undefined;
  /** The repository that content is to be taken from, too. */
  readonly from?: string | undefined;
  /** What is meant in it, for the audit log. */
  readonly reference?: string | undefined;
}

/** What a request wants: something of a repository, a list of what there is, or merely to be let in. */
export type Wanted = RepositoryWanted | { readonly action: "list" } | { readonly action: "login" };

/** Who sends a request, as far as it matters, and what they may do. */
export interface Caller {
  /** As logs name them; an account's own name where there is one. */
  readonly name: string;
  /** Whether they have shown who they are: who has not is asked to, who has is refused. */
  readonly isKnown: boolean;
  /** Whether what they have shown is enough to see that this is a registry. */
  readonly mayEnter: boolean;
  /** Whether they may ask for lists of repositories; `sees` says what is in them. */
  readonly mayList: boolean;
  /** Whether `sees` is true of every repository that there could be. */
  readonly seesAll: boolean;
  /** Whether a repository is in lists that they are given. */
  sees(repository: string): boolean;
  /** Whether they may do it to the repository with these credentials. */
  may(action: Action, repository: string): boolean;
  /** Whether there is any repository to which they may do it with these credentials. */
  mayAny(action: Action): boolean;
  /** Whether they might with other credentials of theirs, such as a token of a larger scope. */
  might(action: Action, repository: string): boolean;
  /** Whether there is nothing that they may not. */
  readonly mayEverything?: true;
  /** The only repository that images of V1 may be read from with these credentials, where there is one. */
  readonly boundTo?: string;
  /** The API key that they have shown instead of a password: tokens for it are good for no more, and for no longer. */
  readonly key?: KeyLimits | undefined;
}

/** Somebody who may do everything. */
export function unrestricted(name: string): Caller {
  const yes = () => true;
  const answers = { sees: yes, may: yes, mayAny: yes, might: yes };
  return { name, isKnown: true, mayEnter: true, mayList: true, seesAll: true, mayEverything: true, ...answers };
}

/** Somebody who may do nothing but `changes`. */
export function powerless(name: string, changes: Partial<Caller> = {}): Caller {
  const no = () => false;
  const answers = { sees: no, may: no, mayAny: no, might: no };
  return { name, isKnown: false, mayEnter: false, mayList: false, seesAll: false, ...answers, ...changes };
}

/** Whether the caller may have what is wanted. */
export function permits(caller: Caller, wanted: Wanted): boolean {
  if (wanted.action === "list") return caller.mayList;
  if (wanted.action === "login") return caller.mayEnter;
  const { action, repository } = wanted;
  return repository === undefined ? caller.mayAny(action) : caller.may(action, repository);
}
