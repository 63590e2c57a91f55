import type { Complaint } from "./complaints.ts";
import { upstreamsOf, type UpstreamSettings } from "./mirror-options.ts";
import type { Place } from "./reading.ts";
import type { Settings } from "./schema.ts";

/** Upstreams that can't be told apart, or whose credentials are incomplete. */
export function mirrorContradictions(
  { mirroring }: Settings,
  places: ReadonlyMap<string, Place>,
): readonly Complaint[] {
  if (!mirroring) return [];
  const upstreams = upstreamsOf(mirroring);
  const offset = mirroring.source === undefined ? 0 : 1;
  const found: Complaint[] = [];
  for (const [index, upstream] of upstreams.entries()) {
    const section = index < offset ? "mirroring" : `mirroring.upstreams.${index - offset}`;
    const complain = (option: string, problem: string, remedy: string): void => {
      const key = `${section}.${option}`;
      found.push({ key, ...lineOf(key, section, places), problem, remedy });
    };
    const address = index < offset ? "source" : "url";
    for (const [problem, remedy] of wrongUrl(upstream)) complain(address, problem, remedy);
    for (const [option, problem, remedy] of wrongCredentials(upstream)) complain(option, problem, remedy);
    const rival = upstreams.findIndex(({ prefix }) => (prefix ?? "") === (upstream.prefix ?? ""));
    if (rival !== index) {
      const has = upstream.prefix === undefined ? "no prefix either" : `the prefix ${upstream.prefix} too`;
      complain(index < offset ? "source" : "prefix", `another upstream has ${has}`, "Give each a prefix of its own.");
    }
  }
  return found;
}

type Credentials = Pick<UpstreamSettings, "username" | "password" | "credential_helper">;

function wrongUrl({
  url,
  username: user,
  credential_helper: helper,
}: Credentials & Pick<UpstreamSettings, "url">): readonly (readonly [string, string])[] {
  const { username, search, hash } = new URL(url);
  if (username !== "" && (user !== undefined || helper !== undefined)) {
    return [["holds a user too", "Remove it from the URL."]];
  }
  return search !== "" || hash !== "" ? [["has more than a host and a path", "Remove what follows ? or #."]] : [];
}

function wrongCredentials(upstream: Credentials): readonly (readonly [string, string, string])[] {
  const { username, password, credential_helper: helper } = upstream;
  if (helper !== undefined && (username !== undefined || password !== undefined)) {
    return [["credential_helper", "is given beside a username or password", "Remove one of the two."]];
  }
  if (username !== undefined && password === undefined) {
    return [["password", "is missing beside username", "Set it, or remove username."]];
  }
  if (username === undefined && password !== undefined) {
    return [["username", "is missing beside password", "Set it, or remove password."]];
  }
  return [];
}

function lineOf(key: string, section: string, places: ReadonlyMap<string, Place>): { readonly line?: number } {
  const line = (places.get(key) ?? places.get(section) ?? places.get("mirroring.upstreams"))?.line;
  return line === undefined ? {} : { line };
}
