import { isIPv6 } from "node:net";
import { canonicalHost, type Address } from "./structures.ts";

/** The families of addresses, as the protocol and operators have them. */
export type FamilyNumber = 2 | 10;

/**
 * What a text such as `host:port` or `host:port:family` says, an IPv6 address with brackets or without; `family` is for those
 * that say none. Undefined where it is no such thing.
 */
export function parseRemote(text: string, family: FamilyNumber): Address | undefined {
  const found = /^(?:\[([^\]]+)\]|(.+?)):(\d{1,5})(?::(2|10))?$/.exec(text.trim());
  const [, bracketed, plain, digits, own] = found ?? [];
  const host = bracketed ?? plain ?? "";
  const port = Number(digits);
  if (host.includes(":") ? !isIPv6(host) : !/^[\w.-]+$/.test(host)) return undefined;
  if (port < 1 || port > 65_535) return undefined;
  return { host: canonicalHost(host), port, family: Number(own ?? family) === 10 ? 6 : 4 };
}
