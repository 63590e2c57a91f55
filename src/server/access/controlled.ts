import { hash, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Accounts } from "../accounts/accounts.ts";
import { RegistryError } from "../errors.ts";
import type { Client } from "../http/proxy.ts";
import type { Access, AccessRequest, Refusal } from "./access.ts";
import type { Caller, Wanted } from "./caller.ts";
import { accountCaller, anonymousCaller, foreignCaller, tokenCaller } from "./callers.ts";
import { certifiedBy } from "./certificates.ts";
import { basicChallenge, bearerChallenge, originOf, tokenPath, type TokenSource } from "./challenge.ts";
import { credentialsOf, type Credentials } from "./credentials.ts";
import { ruleName, type Rules } from "./rules.ts";
import type { Tokens, ValidToken } from "./tokens.ts";

/** What tells who may do what. */
export interface ControlledParts {
  readonly rules: Rules;
  /** Everybody with a password; undefined where there are none. */
  readonly accounts: Accounts | undefined;
  /** Our own tokens. */
  readonly tokens: Tokens;
  /** Reads tokens of another service, which gives all that V2 clients have; undefined where ours does. */
  readonly foreignTokens: ((token: string) => Promise<ValidToken | undefined>) | undefined;
  readonly source: TokenSource;
  /** The URL that clients know the registry by; undefined: whatever they have asked for. */
  readonly publicUrl: string | undefined;
  readonly clientOf: (request: AccessRequest) => Client;
  /** Whether certificates of clients count. */
  readonly certificates: boolean;
}

/** How long in milliseconds, while accounts stay what they are, one does not look again: at other things that may change. */
const believed = { login: 60_000, key: 1000, foreign: 5000 };
const mostBelieved = 10_000;

/** A token that was valid, until then in milliseconds since 1970. */
interface Believed {
  readonly content: ValidToken;
  readonly until: number;
  /** Who shows it, as long as accounts are what they were. */
  readonly known?: Known;
}

interface Known {
  readonly caller: Caller;
  /** What `Accounts.state` was; undefined where no account matters. */
  readonly state: object | undefined;
  readonly until: number;
}

/** Access by accounts, tokens and certificates, as rules say. */
export class ControlledAccess implements Access {
  readonly #parts: ControlledParts;
  readonly #anonymous: Caller;
  readonly #tokens = new LRUCache<string, Believed>({ max: mostBelieved });
  readonly #secret = randomBytes(32).toString("hex");
  readonly #logins = new LRUCache<string, Known>({ max: mostBelieved });
  readonly #certificates = new WeakMap<object, Known>();
  /** By the headers of the request, of which each has its own. */
  readonly #callers = new WeakMap<object, Promise<Caller>>();

  constructor(parts: ControlledParts) {
    this.#parts = parts;
    this.#anonymous = anonymousCaller(parts.rules);
  }

  async identify(request: AccessRequest): Promise<Caller> {
    const { headers } = request;
    const known = this.#callers.get(headers) ?? this.#identify(request);
    this.#callers.set(headers, known);
    return await known;
  }

  known(request: AccessRequest): Caller | undefined {
    const { certificates } = this.#parts;
    const credentials = credentialsOf(request);
    switch (credentials.kind) {
      case "basic":
        return this.#fresh(this.#logins.get(this.#codeOf(credentials)));
      case "bearer":
        return this.#fresh(this.#tokens.get(credentials.token)?.known);
      case "none":
        return !certificates || certifiedBy(request.socket) === undefined
          ? this.#anonymous
          : this.#fresh(this.#certificates.get(request.socket));
      case "token":
      case "unknown":
        return undefined;
    }
  }

  refuse(request: AccessRequest, wanted: Wanted, caller?: Caller): Refusal {
    if (caller?.isKnown === true && !mightEver(caller, wanted)) return { error: new RegistryError("DENIED") };
    const isBearer = credentialsOf(request).kind === "bearer";
    const failure = caller === undefined ? "invalid_token" : caller.isKnown ? "insufficient_scope" : undefined;
    return { error: unauthorized(), challenge: this.#challenge(request, wanted, isBearer ? failure : undefined) };
  }

  async #identify(request: AccessRequest): Promise<Caller> {
    const credentials = credentialsOf(request);
    if (credentials.kind === "none" && this.#parts.certificates) return await this.#byCertificate(request);
    return await this.#byCredentials(credentials, request);
  }

  async #byCredentials(credentials: Credentials, request: AccessRequest): Promise<Caller> {
    const { accounts, rules, clientOf, tokens, foreignTokens } = this.#parts;
    switch (credentials.kind) {
      case "none":
        return this.#anonymous;
      case "basic": {
        const { name, password } = credentials;
        const state = await accounts?.state();
        const account = await accounts?.verify(name, password, clientOf(request).address);
        const code = this.#codeOf(credentials);
        this.#logins.delete(code);
        if (!account) throw unauthorized();
        const caller = accountCaller(rules, account);
        const until = Date.now() + (account.key === undefined ? believed.login : believed.key);
        this.#logins.set(code, { caller, state, until });
        return caller;
      }
      case "bearer": {
        const { token } = credentials;
        if (!foreignTokens) return await this.#believed(token, async () => await tokens.read("access", token));
        return await this.#believed(token, async () => {
          const content = await foreignTokens(token);
          return content && { ...content, until: Math.min(content.until, Date.now() + believed.foreign) };
        });
      }
      case "token": {
        const { signature, repository } = credentials.token;
        // They live longer than those of V2.
        if (isV2(request)) throw unauthorized();
        const name = ruleName(repository);
        return await this.#believed(
          `${name} ${signature}`,
          async () => {
            const content = await tokens.read("v1", signature);
            return content && isFor(name, content) ? content : undefined;
          },
          name,
        );
      }
      case "unknown":
        throw unauthorized();
    }
  }

  async #byCertificate(request: AccessRequest): Promise<Caller> {
    const { accounts, rules } = this.#parts;
    const certified = certifiedBy(request.socket);
    if (!certified) return this.#anonymous;
    if (certified === "untrusted") {
      throw new RegistryError("UNAUTHORIZED", {
        detail: "the client's certificate is not one that this registry trusts",
      });
    }
    const fresh = this.#fresh(this.#certificates.get(request.socket));
    if (fresh) return fresh;
    const state = await accounts?.state();
    const account = await accounts?.find(certified.name);
    const groups = [...new Set([...certified.groups, ...(account?.groups ?? [])])];
    const caller = accountCaller(rules, { name: certified.name, groups });
    this.#certificates.set(request.socket, { caller, until: Infinity, state });
    return caller;
  }

  /** The caller of a token, which is read once; headers of V1 are no tokens of V2. */
  async #believed(text: string, read: () => Promise<ValidToken | undefined>, boundTo?: string): Promise<Caller> {
    const kept = this.#tokens.get(text);
    const fresh = this.#fresh(kept?.known);
    if (fresh) return fresh;
    const content = kept && Date.now() < kept.until ? kept.content : await read();
    const known = content && (await this.#callerOf(content, boundTo));
    this.#tokens.delete(text);
    if (!known) throw unauthorized();
    this.#tokens.set(text, { content, until: content.until, known });
    return known.caller;
  }

  /** Of an account that is gone, or has another password than when they were given, tokens are worth nothing. */
  async #callerOf(token: ValidToken, boundTo?: string): Promise<Known | undefined> {
    const { rules, accounts, foreignTokens } = this.#parts;
    const { subject, scopes, until, stamp, key } = token;
    if (foreignTokens && boundTo === undefined) {
      return { caller: foreignCaller(subject, scopes), until, state: undefined };
    }
    // Before all else: what changes meanwhile makes it another one.
    const state = await accounts?.state();
    if (stamp !== undefined && (await accounts?.stamp(subject)) !== stamp) return undefined;
    const owner = subject === "" ? "anonymous" : await accounts?.find(subject, key);
    const caller = owner && tokenCaller(rules, owner, scopes, boundTo);
    return caller && { caller, state, until: key === undefined ? until : Math.min(until, Date.now() + believed.key) };
  }

  /** Logins are kept by a code of this process, never as what was sent. */
  #codeOf({ name, password }: Extract<Credentials, { kind: "basic" }>): string {
    return hash("sha256", `${this.#secret}${name}:${password}`, "base64");
  }

  #fresh(known: Known | undefined): Caller | undefined {
    if (!known || Date.now() >= known.until) return undefined;
    const { state, caller } = known;
    return state === undefined || state === this.#parts.accounts?.peekState() ? caller : undefined;
  }

  #challenge(request: AccessRequest, wanted: Wanted, error?: "invalid_token" | "insufficient_scope"): string {
    const { source, publicUrl, clientOf, accounts } = this.#parts;
    if (accounts && (!isV2(request) || request.path === tokenPath)) return basicChallenge(source.service);
    const origin = publicUrl ?? originOf(clientOf(request), request.socket);
    return bearerChallenge(source, origin, wanted, error);
  }
}

function isV2({ path }: AccessRequest): boolean {
  return path === "/v2" || path.startsWith("/v2/");
}

function mightEver(caller: Caller, wanted: Wanted): boolean {
  if (wanted.action === "list" || wanted.action === "login") return true;
  const { action, repository } = wanted;
  return repository !== undefined && caller.might(action, repository);
}

/** Whether what a client says of its token is what the token says. */
function isFor(repository: string, { scopes }: ValidToken): boolean {
  return scopes.some(({ type, name }) => type === "repository" && name === repository);
}

/** The rejection of credentials that are not right. */
export function unauthorized(): RegistryError {
  return new RegistryError("UNAUTHORIZED");
}
