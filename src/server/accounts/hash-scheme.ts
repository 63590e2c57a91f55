/** How the hash of a password was made. Nobody logs in with one that is `locked`. */
export type HashScheme = "bcrypt" | "apr1" | "md5" | "sha1" | "sha256" | "sha512" | "des" | "locked";

const forms: readonly (readonly [HashScheme, RegExp])[] = [
  ["bcrypt", /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/],
  ["apr1", /^\$apr1\$[^$:]{0,8}\$[./0-9A-Za-z]{22}$/],
  ["md5", /^\$1\$[^$:]{0,8}\$[./0-9A-Za-z]{22}$/],
  ["sha256", /^\$5\$(rounds=\d{1,9}\$)?[^$:]{0,16}\$[./0-9A-Za-z]{43}$/],
  ["sha512", /^\$6\$(rounds=\d{1,9}\$)?[^$:]{0,16}\$[./0-9A-Za-z]{86}$/],
  ["sha1", /^\{SHA\}[A-Za-z0-9+/]{27}=$/],
  ["des", /^[./0-9A-Za-z]{13}$/],
  ["locked", /^[!*]/],
];

/** The scheme of a hash as htpasswd files have it, or undefined: it is none, or the text itself is the password. */
export function schemeOf(hash: string): HashScheme | undefined {
  return forms.find(([, form]) => form.test(hash))?.[0];
}

/** The cost of a bcrypt hash: it takes 2 to that power rounds. Undefined of any other. */
export function bcryptCost(hash: string): number | undefined {
  return schemeOf(hash) === "bcrypt" ? Number(hash.slice(4, 6)) : undefined;
}

/** What new passwords are hashed with: a quarter of a second or so to check one. */
export const usualCost = 12;

/** Below it, bcrypt is too quick to hold up whoever has the file. */
const leastCost = 10;

const weakSchemes: Partial<Record<HashScheme, string>> = {
  apr1: "MD5 (apr1)",
  md5: "MD5",
  sha1: "SHA-1 without salt",
  des: "DES crypt, which sees eight characters",
};

/** Why a password would soon be found by somebody who has its hash; undefined when it would not. */
export function weaknessOf(hash: string): string | undefined {
  const cost = bcryptCost(hash);
  if (cost !== undefined) return cost < leastCost ? `bcrypt of cost ${cost}` : undefined;
  const scheme = schemeOf(hash);
  return scheme && weakSchemes[scheme];
}
