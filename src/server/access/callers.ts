import type { Account, KeyLimits } from "../accounts/accounts.ts";
import { powerless, type Action, type Caller } from "./caller.ts";
import { pattern, type Rules } from "./rules.ts";
import { covers, type Scope } from "./scopes.ts";

const anonymousName = "anonymous";

/** Whoever has shown nothing. */
export function anonymousCaller(rules: Rules): Caller {
  return {
    name: anonymousName,
    isKnown: false,
    mayEnter: false,
    mayList: rules.allowsAny("anonymous", "pull"),
    ...powers(rules, "anonymous"),
  };
}

/** An account that has shown its password, an API key, or a client certificate. */
export function accountCaller(rules: Rules, account: Account): Caller {
  return {
    name: account.name,
    isKnown: true,
    mayEnter: true,
    mayList: true,
    key: account.key,
    ...powers(rules, account),
  };
}

/** A token of ours: it is good for its scopes, as far as the rules still allow them. */
export function tokenCaller(
  rules: Rules,
  subject: Account | "anonymous",
  scopes: readonly Scope[],
  boundTo?: string,
): Caller {
  const { may: might, ...others } = powers(rules, subject);
  const isKnown = subject !== "anonymous";
  return {
    name: isKnown ? subject.name : anonymousName,
    isKnown,
    mayEnter: true,
    mayList: covers(scopes, "registry", "catalog", "*") && (isKnown || rules.allowsAny(subject, "pull")),
    ...others,
    key: isKnown ? subject.key : undefined,
    ...(boundTo !== undefined && { boundTo }),
    mayAny: (action) =>
      scopes.some(
        ({ type, name }) => type === "repository" && covers(scopes, type, name, action) && might(action, name),
      ),
    may: (action, repository) => covers(scopes, "repository", repository, action) && might(action, repository),
    might,
  };
}

/** A token of another service: it says all that its bearer may do. */
export function foreignCaller(subject: string, scopes: readonly Scope[]): Caller {
  const mayList = covers(scopes, "registry", "catalog", "*");
  const may = (action: Action, repository: string) => covers(scopes, "repository", repository, action);
  return powerless(subject === "" ? anonymousName : subject, {
    isKnown: true,
    mayEnter: true,
    mayList,
    seesAll: mayList,
    sees: (repository) => mayList || may("pull", repository),
    may,
    mayAny: (action) => scopes.some(({ type, name }) => type === "repository" && may(action, name)),
    // That service knows; a client is to ask it.
    might: () => true,
  });
}

function powers(rules: Rules, subject: Account | "anonymous") {
  const key = subject === "anonymous" ? undefined : subject.key;
  const isLeft = leftBy(key);
  const may = (action: Action, repository: string): boolean =>
    rules.decide(subject, action, repository).allowed && isLeft(action, repository);
  return {
    seesAll: key === undefined && rules.allowsAll(subject, "pull"),
    sees: (repository: string) => may("pull", repository),
    may,
    mayAny: (action: Action) => rules.allowsAny(subject, action) && (key === undefined || key.actions.includes(action)),
    might: may,
  };
}

/** Whether an API key leaves an action to a repository; without one, everything is left. */
function leftBy(key: KeyLimits | undefined): (action: Action, repository: string) => boolean {
  if (!key) return () => true;
  const fits = pattern(key.repositories);
  return (action, repository) => key.actions.includes(action) && fits(repository);
}
