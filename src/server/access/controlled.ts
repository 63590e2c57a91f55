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

/** How long a token or a certificate is believed until its account is looked for again, in milliseconds. */
const believed = 5000;
const mostBelieved = 10_000;

interface Believed {
  readonly caller: Caller;
  readonly until: number;
}

/** Access by accounts, tokens and certificates, as rules say. */
export class ControlledAccess implements Access {
  readonly #parts: ControlledParts;
  readonly #anonymous: Caller;
  readonly #tokens = new LRUCache<string, Believed>({ max: mostBelieved });
  readonly #certificates = new WeakMap<object, Believed>();
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
    const credentials = credentialsOf(request);
    if (credentials.kind === "bearer") return fresh(this.#tokens.get(credentials.token));
    if (credentials.kind !== "none") return undefined;
    if (!this.#parts.certificates) return this.#anonymous;
    return certifiedBy(request.socket) === undefined ? this.#anonymous : fresh(this.#certificates.get(request.socket));
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
        const account = await accounts?.verify(name, password, clientOf(request).address);
        if (!account) throw unauthorized();
        return accountCaller(rules, account);
      }
      case "bearer": {
        const { token } = credentials;
        return await this.#believed(token, async () => {
          const foreign = await foreignTokens?.(token);
          if (foreignTokens) return foreign && { ...foreign, caller: foreignCaller(foreign.subject, foreign.scopes) };
          return await this.#ofOurs(await tokens.read("access", token));
        });
      }
      case "token": {
        const { token } = credentials;
        return await this.#believed(token.authorization, async () => {
          const content = await tokens.read("v1", token.signature);
          const name = ruleName(token.repository);
          return content && isFor(name, content) ? await this.#ofOurs(content, name) : undefined;
        });
      }
      case "unknown":
        throw unauthorized();
    }
  }

  async #byCertificate(request: AccessRequest): Promise<Caller> {
    const { rules } = this.#parts;
    const certified = certifiedBy(request.socket);
    if (!certified) return this.#anonymous;
    if (certified === "untrusted") {
      throw new RegistryError("UNAUTHORIZED", {
        detail: "the client's certificate is not one that this registry trusts",
      });
    }
    const known = fresh(this.#certificates.get(request.socket));
    if (known) return known;
    const account = await this.#parts.accounts?.find(certified.name);
    const groups = [...new Set([...certified.groups, ...(account?.groups ?? [])])];
    const caller = accountCaller(rules, { name: certified.name, groups });
    this.#certificates.set(request.socket, { caller, until: Date.now() + believed });
    return caller;
  }

  /** The same text is always read in the same way: headers of V1 are no tokens of V2. */
  async #believed(text: string, read: () => Promise<Believed | undefined>): Promise<Caller> {
    const known = fresh(this.#tokens.get(text));
    if (known) return known;
    const found = await read();
    if (!found) throw unauthorized();
    const { caller, until } = found;
    this.#tokens.set(text, { caller, until: Math.min(until, Date.now() + believed) });
    return caller;
  }

  /** Of an account that is gone, or has another password than when they were given for long, tokens are worth nothing. */
  async #ofOurs(token: ValidToken | undefined, boundTo?: string): Promise<Believed | undefined> {
    const { rules, accounts } = this.#parts;
    if (!token) return undefined;
    if (token.stamp !== undefined && (await accounts?.stamp(token.subject)) !== token.stamp) return undefined;
    const subject = token.subject === "" ? "anonymous" : await accounts?.find(token.subject, token.key);
    return subject && { caller: tokenCaller(rules, subject, token.scopes, boundTo), until: token.until };
  }

  #challenge(request: AccessRequest, wanted: Wanted, error?: "invalid_token" | "insufficient_scope"): string {
    const { source, publicUrl, clientOf, accounts } = this.#parts;
    const isV2 = request.path === "/v2" || request.path.startsWith("/v2/");
    if (accounts && (!isV2 || request.path === tokenPath)) return basicChallenge(source.service);
    const origin = publicUrl ?? originOf(clientOf(request), request.socket);
    return bearerChallenge(source, origin, wanted, error);
  }
}

function mightEver(caller: Caller, wanted: Wanted): boolean {
  if (wanted.action === "list" || wanted.action === "login") return true;
  const { action, repository } = wanted;
  return repository !== undefined && caller.might(action, repository);
}

function fresh(entry: Believed | undefined): Caller | undefined {
  return entry && Date.now() < entry.until ? entry.caller : undefined;
}

/** Whether what a client says of its token is what the token says. */
function isFor(repository: string, { scopes }: ValidToken): boolean {
  return scopes.some(({ type, name }) => type === "repository" && name === repository);
}

/** The rejection of credentials that are not right. */
export function unauthorized(): RegistryError {
  return new RegistryError("UNAUTHORIZED");
}
