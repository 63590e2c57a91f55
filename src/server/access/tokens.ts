import { errors, jwtVerify, SignJWT, type JWTPayload } from "jose";
import { scopesOf, type Scope } from "./scopes.ts";
import type { TokenKeys } from "./token-keys.ts";

/** What a token is used for; one of another use is as good as none. */
export type TokenUse = "access" | "refresh" | "v1";

/** What a token says: who it was given to, and what for. */
export interface TokenContent {
  /** The account's name; empty for whoever has none. */
  readonly subject: string;
  readonly scopes: readonly Scope[];
  /** The id of the API key that it was given for, with which it ends. */
  readonly key?: string | undefined;
  /** Of the account, as `Accounts.stamp` has it. */
  readonly stamp?: string | undefined;
}

/** A token that was valid when it was looked at; `until` is in milliseconds since 1970. */
export interface ValidToken extends TokenContent {
  readonly until: number;
}

/** Their media types keep tokens apart that are signed with one key (RFC 8725, 3.11). */
const types: Readonly<Record<TokenUse, string>> = { access: "JWT", refresh: "refresh+jwt", v1: "v1+jwt" };

/** Makes and reads the tokens of this registry: JSON Web Tokens, for it alone, of a limited life. */
export class Tokens {
  readonly #keys: TokenKeys;
  readonly #service: string;

  constructor({ keys, service }: { readonly keys: TokenKeys; readonly service: string }) {
    this.#keys = keys;
    this.#service = service;
  }

  async issue(use: TokenUse, { subject, scopes, key, stamp }: TokenContent, seconds: number): Promise<string> {
    const { id, algorithm, privateKey } = await this.#keys.signing();
    const now = Math.floor(Date.now() / 1000);
    return await new SignJWT({
      access: scopes,
      ...(key !== undefined && { key }),
      ...(stamp !== undefined && { stamp }),
    })
      .setProtectedHeader({ alg: algorithm, typ: types[use], kid: id })
      .setIssuer(this.#service)
      .setAudience(this.#service)
      .setSubject(subject)
      .setIssuedAt(now)
      .setExpirationTime(now + seconds)
      .setJti(crypto.randomUUID())
      .sign(privateKey);
  }

  /** What the token says; undefined unless it is one of ours, for that use, and still valid. */
  async read(use: TokenUse, token: string): Promise<ValidToken | undefined> {
    return await valid(async () => {
      const { payload } = await jwtVerify(
        token,
        async ({ kid = "" }) => {
          const key = await this.#keys.find(kid);
          if (!key) throw new errors.JWKSNoMatchingKey();
          return key.publicKey;
        },
        {
          issuer: this.#service,
          audience: this.#service,
          typ: types[use],
          algorithms: ["ES256", "RS256"],
          requiredClaims: ["sub", "exp"],
        },
      );
      return payload;
    });
  }
}

/** The failures that are not the token's. */
const keyFailures = new Set([errors.JOSEError.code, errors.JWKSTimeout.code, errors.JWKSInvalid.code]);

/** What a token says that `verify` has found valid; undefined when it has not. Other failures are passed on. */
export async function valid(verify: () => Promise<JWTPayload>): Promise<ValidToken | undefined> {
  try {
    const { sub = "", exp = 0, access, key, stamp } = await verify();
    return {
      subject: sub,
      scopes: scopesOf(access),
      until: exp * 1000,
      ...(typeof key === "string" && { key }),
      ...(typeof stamp === "string" && { stamp }),
    };
  } catch (error) {
    if (error instanceof errors.JOSEError && !keyFailures.has(error.code)) return undefined;
    throw error;
  }
}
