import { randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { Certificate } from "./certificate.ts";

/** Who may have tokens for what. */
export interface TokenServerOptions {
  /** Signs the tokens; registries trust it. */
  readonly certificate: Certificate;
  /** Passwords by user; each may do everything. */
  readonly users: Readonly<Record<string, string>>;
  /** What anybody may pull. */
  readonly publicRepositories?: readonly string[];
  /** Identity tokens that stand for a user. */
  readonly identityTokens?: readonly string[];
  /** Seconds that a token lives. */
  readonly life?: number;
}

/** A server of Bearer tokens as docker's registries know them: Basic or nothing by GET, identity tokens by POST. */
export class TokenServer {
  readonly issuer = "token-server";
  readonly service = "registry.test";
  /** Scopes of the tokens that were given, and who got them. */
  readonly given: string[] = [];
  readonly #options: TokenServerOptions;
  readonly #key: string;
  readonly #server: Server;

  private constructor(options: TokenServerOptions, key: string) {
    this.#options = options;
    this.#key = key;
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  static async start(options: TokenServerOptions): Promise<TokenServer> {
    const server = new TokenServer(options, await readFile(options.certificate.key, "utf8"));
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get realm(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { searchParams: query } = new URL(request.url ?? "", this.realm);
    const form = new URLSearchParams(await text(request));
    const identity = form.get("refresh_token");
    const user = identity === null ? this.#userOf(request.headers.authorization) : this.#isKnown(identity);
    if (user === undefined) {
      response.writeHead(401).end();
      return;
    }
    const scope = query.get("scope") ?? form.get("scope") ?? "";
    const [, name = "", actions = ""] = scope.split(":");
    const mayPull = user !== "" || this.#options.publicRepositories?.includes(name) === true;
    const access = mayPull && name !== "" ? [{ type: "repository", name, actions: user === "" ? ["pull"] : actions.split(",") }] : []; // prettier-ignore
    this.given.push(`${user === "" ? "anonymous" : user} ${scope}`);
    const { life = 300 } = this.#options;
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ token: this.token(user, access, life), expires_in: life }));
  }

  /** A token that allows `access`. */
  token(subject: string, access: readonly object[], life = 300): string {
    const chain = this.#options.certificate.pem.replace(/-----[^-]+-----|\s/g, "");
    const now = Math.floor(Date.now() / 1000);
    const header = { typ: "JWT", alg: "ES256", x5c: [chain] };
    const claims = { iss: this.issuer, aud: this.service, sub: subject, iat: now, nbf: now - 5, exp: now + life, jti: randomUUID(), access }; // prettier-ignore
    const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    const signature = sign("sha256", Buffer.from(signed), { key: this.#key, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  }

  /** Nobody in particular is ""; undefined is refused. */
  #userOf(authorization: string | undefined): string | undefined {
    if (authorization === undefined) return "";
    const [user = "", password] = Buffer.from(authorization.replace(/^Basic /, ""), "base64")
      .toString()
      .split(":");
    return this.#options.users[user] === password ? user : undefined;
  }

  #isKnown(identity: string): string | undefined {
    return this.#options.identityTokens?.includes(identity) === true ? "identified" : undefined;
  }
}
