import { dirname, resolve } from "node:path";
import type { Action } from "./access/caller.ts";
import { defaultRules, Rules, type Rule } from "./access/rules.ts";
import { listUsers } from "./accounts/administration.ts";
import type { Loaded } from "./config/flavors.ts";

/** Whether somebody may do something, and why. */
export interface AccessExplanation {
  readonly allowed: boolean;
  /** In words, with the rule that decides. */
  readonly reason: string;
  /** The number of the rule that decides, from 1, and its line in the file; undefined where none does, or none is written. */
  readonly rule: number | undefined;
  readonly line: number | undefined;
  /** Whether `auth.htpasswd` has such an account; undefined for nobody in particular, and without that file. */
  readonly hasAccount: boolean | undefined;
  readonly groups: readonly string[];
}

/** Who wants what: `user` is an account, or `anonymous`; `groups` are those that a client's certificate adds. */
export interface AccessQuestion {
  readonly user: string;
  readonly action: Action;
  readonly repository: string;
  readonly groups?: readonly string[];
}

/** Tells what a flavor's rules say. Rejects when a file that it names can't be read. */
export async function explainAccess(loaded: Loaded, question: AccessQuestion): Promise<AccessExplanation> {
  const { settings, places } = loaded;
  const { auth, http } = settings;
  const { user, action, repository } = question;
  const none = { rule: undefined, line: undefined, hasAccount: undefined, groups: [] };
  if (!auth && http.tls?.client_ca === undefined) {
    return { ...none, allowed: true, reason: "nobody is asked who they are: there is no section auth" };
  }
  const isAnonymous = user === "anonymous";
  const listed = isAnonymous ? undefined : await accountOf(loaded, user);
  const groups = [...new Set([...(question.groups ?? []), ...(listed?.groups ?? [])])];
  const hasAccount = isAnonymous || auth?.htpasswd === undefined ? undefined : listed !== undefined;
  if (hasAccount === false && http.tls?.client_ca === undefined) {
    return { ...none, allowed: false, reason: `there is no account ${user}`, hasAccount, groups };
  }
  const rules = auth?.rules ?? defaultRules;
  const { allowed, rule } = new Rules(rules).decide(
    isAnonymous ? "anonymous" : { name: user, groups },
    action,
    repository,
  );
  const decisive = rule === undefined ? undefined : rules[rule - 1];
  const line = rule === undefined ? undefined : places.get(`auth.rules.${rule - 1}`)?.line;
  const which = !decisive
    ? `no rule is about ${user} and ${repository}`
    : auth?.rules
      ? `rule ${rule ?? 0}`
      : "there are no rules, so";
  const reason = decisive ? `${which}${line === undefined ? "" : `, line ${line}`}: ${told(decisive)}` : which;
  const written = auth?.rules === undefined ? { rule: undefined, line: undefined } : { rule, line };
  return { allowed, reason, ...written, hasAccount, groups };
}

async function accountOf({ settings: { auth }, file }: Loaded, name: string) {
  if (auth?.htpasswd === undefined) return undefined;
  const folder = dirname(file);
  const groups = typeof auth.groups === "string" ? resolve(folder, auth.groups) : auth.groups;
  const { users } = await listUsers(resolve(folder, auth.htpasswd), groups);
  return users.find((user) => user.name === name);
}

function told({ who, repositories, actions }: Rule): string {
  return `${who.join(", ")} may ${actions.join(", ") || "do nothing"} to ${repositories.join(", ")}`;
}
