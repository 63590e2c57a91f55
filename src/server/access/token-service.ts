import type { Accounts } from "../accounts/accounts.ts";
import type { Action, Caller } from "./caller.ts";
import { accountCaller } from "./callers.ts";
import type { Rules } from "./rules.ts";
import { askedActions, catalogScope, covers, type Scope } from "./scopes.ts";
import type { Tokens } from "./tokens.ts";

/** What the token service works with. */
export interface TokenServiceParts {
  readonly tokens: Tokens;
  readonly rules: Rules;
  /** Undefined where certificates alone say who somebody is. */
  readonly accounts: Accounts | undefined;
}

/** A token for V2, and how long it is good for, in seconds. */
export interface IssuedToken {
  readonly token: string;
  readonly seconds: number;
  readonly scopes: readonly Scope[];
}

/** Docker gets a new one by itself, in seconds. It ends with the account, or its password, and what rules end. */
const accessSeconds = 300;
/** With it, docker gets others without keeping the password; in seconds. It ends with the account, or its password. */
const refreshSeconds = 90 * 24 * 3600;

/** Gives tokens for V2 (distribution, token authentication): of what is asked for, as much as is allowed. */
export class TokenService {
  readonly #parts: TokenServiceParts;

  constructor(parts: TokenServiceParts) {
    this.#parts = parts;
  }

  /** A token for whoever it is; nobody in particular gets one for what everybody may. */
  async issue(caller: Caller, asked: readonly Scope[]): Promise<IssuedToken> {
    const scopes = asked.flatMap((scope) => granted(caller, scope));
    const subject = caller.isKnown ? caller.name : "";
    const stamp = subject === "" ? undefined : await this.#parts.accounts?.stamp(subject);
    const content = { subject, scopes, key: caller.key?.id, stamp };
    const token = await this.#parts.tokens.issue("access", content, accessSeconds);
    return { token, seconds: accessSeconds, scopes };
  }

  /** A token that others can be had with; none for nobody in particular, or without a password. */
  async refreshToken(caller: Caller): Promise<string | undefined> {
    if (!caller.isKnown) return undefined;
    const stamp = await this.#parts.accounts?.stamp(caller.name);
    if (stamp === undefined) return undefined;
    const content = { subject: caller.name, scopes: [], key: caller.key?.id, stamp };
    return await this.#parts.tokens.issue("refresh", content, refreshSeconds);
  }

  /** Whose refresh token it is; undefined where it is none of ours, or what it was given for is gone. */
  async refreshing(token: string): Promise<Caller | undefined> {
    const content = await this.#parts.tokens.read("refresh", token);
    const { accounts } = this.#parts;
    if (!content || (await accounts?.stamp(content.subject)) !== content.stamp) return undefined;
    const account = await accounts?.find(content.subject, content.key);
    return account && accountCaller(this.#parts.rules, account);
  }

  /** Whose name and password these are. Rejects with TOOMANYREQUESTS. */
  async withPassword(name: string, password: string, address: string): Promise<Caller | undefined> {
    const account = await this.#parts.accounts?.verify(name, password, address);
    return account && accountCaller(this.#parts.rules, account);
  }
}

/** So much of a scope as is allowed; what is not known here is nobody's. */
function granted(caller: Caller, scope: Scope): readonly Scope[] {
  const { type, name } = scope;
  if (type === "registry") {
    return covers([scope], "registry", "catalog", "*") && caller.mayList ? [catalogScope] : [];
  }
  if (type !== "repository") return [];
  const actions: readonly Action[] = askedActions(scope).filter((action) => caller.may(action, name));
  return actions.length === 0 ? [] : [{ type, name, actions }];
}
