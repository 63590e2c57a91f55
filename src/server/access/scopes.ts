import { isObject } from "../registry/documents.ts";
import { actions, type Wanted } from "./caller.ts";

/** What a token is for, or is asked for: `repository:team/app:pull,push`, `registry:catalog:*`. */
export interface Scope {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

const mostScopes = 100;

/** The scopes of the parameters of a request for a token; each may hold several. What is no scope is left out. */
export function parseScopes(parameters: readonly string[]): readonly Scope[] {
  const texts = parameters.flatMap((text) => text.split(" ")).filter((text) => text !== "");
  return texts.slice(0, mostScopes).flatMap((text) => {
    const [, type, name, list] = /^([a-z]+(?:\([a-z]+\))?):(.+):([a-z*,]*)$/.exec(text) ?? [];
    return type !== undefined && name !== undefined && list !== undefined
      ? [{ type: type.replace(/\(.*/, ""), name, actions: list.split(",").filter((action) => action !== "") }]
      : [];
  });
}

/** The scopes that the `access` claim of a token holds. */
export function scopesOf(claim: unknown): readonly Scope[] {
  if (!Array.isArray(claim)) return [];
  return claim.flatMap((entry: unknown): readonly Scope[] => {
    if (!isObject(entry)) return [];
    const { type, name, actions: list } = entry;
    if (typeof type !== "string" || typeof name !== "string" || !Array.isArray(list)) return [];
    return [{ type, name, actions: list.filter((action) => typeof action === "string") }];
  });
}

/** Whether one of the scopes is for that action; `*` stands for all. */
export function covers(scopes: readonly Scope[], type: string, name: string, action: string): boolean {
  return scopes.some(
    (scope) =>
      scope.type === type && scope.name === name && (scope.actions.includes(action) || scope.actions.includes("*")),
  );
}

/** As texts such as `repository:team/app:pull,push`. */
export function scopeText({ type, name, actions: list }: Scope): string {
  return `${type}:${name}:${list.join(",")}`;
}

/** What a client should ask a token for that wants this; who pushes pulls, too. */
export function neededScopes(wanted: Wanted): readonly Scope[] {
  switch (wanted.action) {
    case "login":
      return [];
    case "list":
      return [catalogScope];
    case "pull":
    case "push":
    case "delete": {
      const { action, repository, from } = wanted;
      const own = action === "push" ? ["pull", "push"] : [action];
      return [
        ...(repository === undefined ? [] : [{ type: "repository", name: repository, actions: own }]),
        ...(from === undefined ? [] : [{ type: "repository", name: from, actions: ["pull"] }]),
      ];
    }
  }
}

export const catalogScope: Scope = { type: "registry", name: "catalog", actions: ["*"] };

/** The actions of a scope of a repository that this registry knows; `*` asks for all. */
export function askedActions(scope: Scope) {
  return actions.filter((action) => scope.actions.includes(action) || scope.actions.includes("*"));
}
