import { createHash, timingSafeEqual } from "node:crypto";
import md5Crypt from "apache-md5";
import bcrypt from "bcryptjs";
import desCrypt from "unix-crypt-td-js";
import { verify as verifyShaCrypt } from "unixcrypt";
import { bcryptCost, schemeOf } from "./hash-scheme.ts";

/*
 * What takes long, and blocks whoever calls it: in the server that is a thread of its own.
 */

/** What is to be checked. Without a `hash` there is no such account. */
export interface PasswordCheck {
  readonly password: string;
  readonly hash: string | undefined;
  /** A check that fails takes as long as one against bcrypt of this cost: whether there is an account doesn't show. */
  readonly failsAtCost: number;
}

/** Whether the password is the one that was hashed. Of bcrypt, the first 72 bytes count; of DES, the first 8. */
export function isRight({ password, hash, failsAtCost }: PasswordCheck): boolean {
  if (hash !== undefined && matches(password, hash)) return true;
  // The rounds of bcrypt double with each cost: after those of cost 8, those of 8, 9 and 10 together make up cost 11.
  const cost = hash === undefined ? undefined : bcryptCost(hash);
  if (cost === undefined) bcrypt.hashSync(password, failsAtCost);
  else for (let more = cost; more < failsAtCost; more++) bcrypt.hashSync(password, more);
  return false;
}

/** A new hash, by bcrypt. */
export async function hashed(password: string, cost: number): Promise<string> {
  // Of the versions that mean the same, this is the one that Apache writes.
  return (await bcrypt.hash(password, cost)).replace(/^\$2[ab]\$/, "$2y$");
}

function matches(password: string, hash: string): boolean {
  const bytes = Buffer.from(password, "utf8");
  switch (schemeOf(hash)) {
    case "bcrypt":
      return bcrypt.compareSync(password, hash);
    case "apr1":
    case "md5":
      return isSame(md5Crypt(bytes.toString("latin1"), hash), hash);
    case "sha1":
      return isSame(`{SHA}${createHash("sha1").update(bytes).digest("base64")}`, hash);
    case "sha256":
    case "sha512":
      return verifyShaCrypt(password, hash);
    case "des":
      return isSame(desCrypt([...bytes], hash.slice(0, 2)), hash);
    case "locked":
    case undefined:
      return false;
  }
}

function isSame(made: string, stored: string): boolean {
  const [a, b] = [Buffer.from(made), Buffer.from(stored)];
  return a.length === b.length && timingSafeEqual(a, b);
}
