import type { Complaint } from "./complaints.ts";
import type { Place } from "./reading.ts";
import type { Settings } from "./schema.ts";

type Complain = (key: string, problem: string, remedy: string) => void;

/** Options of the section `auth` that are right one by one but can't be meant together. */
export function authContradictions(settings: Settings, places: ReadonlyMap<string, Place>): readonly Complaint[] {
  const found: Complaint[] = [];
  const complain: Complain = (key, problem, remedy) => {
    const line = places.get(key)?.line ?? places.get(key.split(".").slice(0, -1).join("."))?.line;
    found.push({ key, ...(line !== undefined && { line }), problem, remedy });
  };
  const { auth, standalone, disable_token_auth: trusting } = settings;
  if (!auth) return found;
  if (!standalone || trusting) {
    const other = standalone ? "disable_token_auth" : "standalone";
    const remedy = `Remove ${other}, or the section auth.`;
    complain(other, `leaves to others what the section auth is to decide`, remedy);
  }
  if (auth.signup && auth.htpasswd === undefined) {
    complain("auth.signup", "has no file to write accounts to", "Name one in auth.htpasswd.");
  }
  if (auth.token) complainOfToken(auth.token, complain);
  for (const [index, { who }] of (auth.rules ?? []).entries()) {
    const nobody = who.find((one) => /^group:\s*$/.test(one) || (one.includes("*") && one !== "*"));
    if (nobody !== undefined) {
      const remedy = "Write an account's name, group:NAME, anonymous, or *.";
      complain(`auth.rules.${index}.who`, `${JSON.stringify(nobody)} is nobody`, remedy);
    }
  }
  return found;
}

type TokenSettings = NonNullable<NonNullable<Settings["auth"]>["token"]>;

function complainOfToken({ jwks, certificates, service }: TokenSettings, complain: Complain): void {
  if ((jwks === undefined) === (certificates === undefined)) {
    const problem = jwks === undefined ? "is missing" : "can't be used beside certificates";
    complain("auth.token.jwks", problem, "Name the keys of the token service by one of jwks and certificates.");
  }
  if (/["\\]|[^\x20-\x7e]/.test(service)) {
    complain("auth.token.service", "can't be told to clients", "Write it without quotes, and in ASCII.");
  }
}
