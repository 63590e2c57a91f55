import { LRUCache } from "lru-cache";
import { isObject, parseJson } from "../registry/documents.ts";
import { discard } from "../../drivers/http.ts";
import { wholeBody, type Connection } from "./connection.ts";
import type { Credentials, Login } from "./credentials.ts";
import { UpstreamFailure } from "./failure.ts";

/** What an upstream asks for, as it said in `WWW-Authenticate`. */
type Scheme =
  { readonly kind: "basic" } | { readonly kind: "bearer"; readonly realm: URL; readonly service: string | undefined };

interface Token {
  readonly authorization: string;
  /** By `performance.now()`. */
  readonly until: number;
}

/** How long a token lives that does not say so, in seconds: what docker's protocol of tokens has as its least. */
const usualLife = 60;
/** A token is not used in its last moments, in milliseconds. */
const margin = 5_000;

/** What requests to an upstream say of who asks, as it wants to be told: nothing, Basic, or a token for each repository. */
export class Authorization {
  readonly #who: string;
  readonly #origin: URL;
  readonly #connection: Connection;
  readonly #credentials: Credentials;
  readonly #tokens = new LRUCache<string, Token>({ max: 10_000 });
  readonly #asking = new Map<string, Promise<string>>();
  #scheme: Scheme | undefined;

  constructor(parts: {
    readonly who: string;
    readonly origin: URL;
    readonly connection: Connection;
    readonly credentials: Credentials;
  }) {
    this.#who = parts.who;
    this.#origin = parts.origin;
    this.#connection = parts.connection;
    this.#credentials = parts.credentials;
  }

  /** The header for requests about the repository, as far as the upstream has said what it wants. */
  async header(repository: string): Promise<string | undefined> {
    const scheme = this.#scheme;
    if (!scheme) return undefined;
    if (scheme.kind === "basic") return basic(await this.#credentials());
    const scope = scopeOf(repository);
    const known = this.#tokens.get(scope);
    if (known && known.until > performance.now()) return known.authorization;
    let asked = this.#asking.get(scope);
    if (!asked) {
      asked = this.#ask(scheme, scope).finally(() => this.#asking.delete(scope));
      this.#asking.set(scope, asked);
    }
    return await asked;
  }

  /**
   * The upstream has refused a request that said `before`: answers what to say instead, or undefined when there is nothing
   * else to say.
   */
  async challenged(challenge: string, repository: string, before: string | undefined): Promise<string | undefined> {
    const scheme = this.#parse(challenge);
    if (!scheme) return undefined;
    this.#scheme = scheme;
    const scope = scopeOf(repository);
    if (this.#tokens.get(scope)?.authorization === before) this.#tokens.delete(scope);
    const header = await this.header(repository);
    return header === before ? undefined : header;
  }

  /** A password is sent to a token server only as safely as to the upstream itself. */
  #parse(challenge: string): Scheme | undefined {
    const [, kind = ""] = /^\s*([A-Za-z]+)/.exec(challenge) ?? [];
    if (kind.toLowerCase() === "basic") return { kind: "basic" };
    const fields = new Map([...challenge.slice(0, 4096).matchAll(/([a-z]+)="([^"]*)"/gi)].map(([, name = "", value = ""]) => [name.toLowerCase(), value])); // prettier-ignore
    const realm = fields.get("realm") ?? "";
    if (kind.toLowerCase() !== "bearer" || !URL.canParse(realm)) return undefined;
    const url = new URL(realm);
    if (url.protocol !== "https:" && (url.protocol !== "http:" || this.#origin.protocol === "https:")) {
      throw new UpstreamFailure("refused", `${this.#who} sends us to a token server without TLS`);
    }
    return { kind: "bearer", realm: url, service: fields.get("service") };
  }

  async #ask({ realm, service }: Extract<Scheme, { readonly kind: "bearer" }>, scope: string): Promise<string> {
    const login = await this.#credentials();
    const question = login && "identityToken" in login ? oauth2(realm, service, scope, login) : { url: withQuery(realm, service, scope), method: "GET" as const, headers: headersOf(basic(login)) }; // prettier-ignore
    const answer = await this.#connection.send(question);
    const who = `the token server of ${this.#who}`;
    if (answer.status !== 200) {
      discard(answer);
      const kind = answer.status === 429 ? "busy" : answer.status >= 500 ? "broken" : "refused";
      throw new UpstreamFailure(kind, `${who} answers ${answer.status}`);
    }
    const value = parseJson(await wholeBody(who, answer));
    const { token, access_token: access, expires_in: life } = isObject(value) ? value : {};
    const text = typeof token === "string" && token !== "" ? token : access;
    if (typeof text !== "string" || !/^[\x21-\x7e]+$/.test(text)) {
      throw new UpstreamFailure("broken", `${who} gives no token`);
    }
    const authorization = `Bearer ${text}`;
    const milliseconds = (typeof life === "number" && life > 0 ? life : usualLife) * 1000;
    const until = performance.now() + milliseconds - Math.min(margin, milliseconds / 2);
    this.#tokens.set(scope, { authorization, until });
    return authorization;
  }
}

function scopeOf(repository: string): string {
  return `repository:${repository}:pull`;
}

function basic(login: Login | undefined): string | undefined {
  if (!login || "identityToken" in login) return undefined;
  return `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
}

function headersOf(authorization: string | undefined): Readonly<Record<string, string>> {
  return authorization === undefined ? {} : { authorization };
}

function withQuery(realm: URL, service: string | undefined, scope: string): URL {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  url.searchParams.set("scope", scope);
  return url;
}

/** How docker exchanges an identity token (distribution: token/oauth). */
function oauth2(realm: URL, service: string | undefined, scope: string, login: { readonly identityToken: string }) {
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    refresh_token: login.identityToken,
    client_id: "registryctl",
    scope,
    ...(service !== undefined && { service }),
  });
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return { url: realm, method: "POST" as const, headers, body: form.toString() };
}
