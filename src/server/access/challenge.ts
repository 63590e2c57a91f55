import type { Client } from "../http/proxy.ts";
import type { Wanted } from "./caller.ts";
import { neededScopes, scopeText } from "./scopes.ts";

/** Where clients get tokens, and what the registry is called there. */
export interface TokenSource {
  /** Undefined: at `/v2/token` of this registry. */
  readonly realm?: string | undefined;
  readonly service: string;
}

/** The path of the token service of this registry. */
export const tokenPath = "/v2/token";

/**
 * How a client is asked for a token (RFC 6750, 3; distribution, token authentication). It is the only way that is named to
 * clients of V2: docker gives up a pull without an account where Basic is named too.
 */
export function bearerChallenge(
  { realm, service }: TokenSource,
  origin: string,
  wanted: Wanted,
  error?: "invalid_token" | "insufficient_scope",
): string {
  const scopes = neededScopes(wanted).map(scopeText).join(" ");
  const fields = [
    ["realm", realm ?? `${origin}${tokenPath}`],
    ["service", service],
    ...(scopes === "" ? [] : [["scope", scopes]]),
    ...(error === undefined ? [] : [["error", error]]),
  ];
  return `Bearer ${fields.map(([name, value]) => `${name ?? ""}="${value ?? ""}"`).join(",")}`;
}

/** How a client is asked for name and password. */
export function basicChallenge(service: string): string {
  return `Basic realm="${service}", charset="UTF-8"`;
}

/** What a client knows this server by; without a host, where it has come in. */
export function originOf(
  { protocol, host }: Client,
  {
    localAddress = "localhost",
    localPort = 5000,
  }: { localAddress?: string | undefined; localPort?: number | undefined },
): string {
  const address = localAddress.includes(":") ? `[${localAddress}]` : localAddress;
  return `${protocol}://${host === "" ? `${address}:${localPort}` : host}`;
}
