import { repositoryOfText, type RepositoryName } from "../registry/names.ts";
import type { SignedRequest } from "./signature.ts";

/** What a request says of who sends it. */
export type Credentials =
  | { readonly kind: "none" }
  | { readonly kind: "basic"; readonly name: string; readonly password: string }
  | { readonly kind: "bearer"; readonly token: string }
  | { readonly kind: "token"; readonly token: V1Token }
  /** Something that nobody understands. */
  | { readonly kind: "unknown" };

/** A token as V1 indexes make it: `Token signature=…,repository="namespace/name",access=read|write|delete`. */
export interface V1Token {
  /** The whole of the header. */
  readonly authorization: string;
  readonly signature: string;
  readonly repository: RepositoryName;
  readonly access: string | undefined;
}

const longestHeader = 16_384;

/** What the request's `Authorization` says. */
export function credentialsOf(request: SignedRequest): Credentials {
  const header = authorizationOf(request);
  if (header === undefined) return { kind: "none" };
  const [, scheme = "", rest = ""] = /^([A-Za-z]+) +(\S.*)$/.exec(header.slice(0, longestHeader)) ?? [];
  switch (scheme.toLowerCase()) {
    case "basic":
      return basic(rest.trim());
    case "bearer":
      return /^[\w.-]+$/.test(rest.trim()) ? { kind: "bearer", token: rest.trim() } : { kind: "unknown" };
    case "token": {
      const token = parseToken(request);
      return token ? { kind: "token", token } : { kind: "unknown" };
    }
    default:
      return { kind: "unknown" };
  }
}

/** The header as it was sent; undefined without one. */
export function authorizationOf({ headers }: SignedRequest): string | undefined {
  const header = headers["authorization"];
  return typeof header === "string" && header !== "" ? header : undefined;
}

/** The token of the request's `Authorization`, or undefined. Docker sends `Token Token …`: the word is in the value it was given. */
export function parseToken(request: SignedRequest): V1Token | undefined {
  const authorization = authorizationOf(request);
  if (authorization === undefined || !/^token(\s|$)/i.test(authorization)) return undefined;
  const fields = new Map(
    [...authorization.slice(0, 4096).matchAll(/(\w+)[:=][\s"]?([^",]+)"?/g)].map(([, name, value]) => [name, value]),
  );
  const repository = repositoryOfText(fields.get("repository") ?? "");
  const signature = fields.get("signature") ?? "";
  return repository && { authorization, signature, repository, access: fields.get("access") };
}

/** Clients that know no account send an empty one. */
function basic(encoded: string): Credentials {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(encoded)) return { kind: "unknown" };
  const text = Buffer.from(encoded, "base64").toString();
  const colon = text.indexOf(":");
  if (colon < 0) return { kind: "unknown" };
  const [name, password] = [text.slice(0, colon), text.slice(colon + 1)];
  return name === "" && password === "" ? { kind: "none" } : { kind: "basic", name, password };
}
