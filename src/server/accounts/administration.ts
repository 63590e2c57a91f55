import { readFile } from "node:fs/promises";
import { schemeOf, weaknessOf, type HashScheme } from "./hash-scheme.ts";
import { parseGroups, groupsOf, groupsWith } from "./group-file.ts";
import { hasUser, parseUsers, type LineFault } from "./user-file.ts";
import { addUser, assertAcceptable, changeUser } from "./user-list.ts";

/*
 * What commands do with accounts. The hashing is loaded where it is needed.
 */

/** An account as a command shows it. */
export interface ListedUser {
  readonly name: string;
  readonly scheme: HashScheme;
  /** Why the password is not safe with whoever has the file. */
  readonly weak?: string;
  readonly groups: readonly string[];
}

/** All accounts of an htpasswd file, in its order. */
export interface ListedUsers {
  readonly users: readonly ListedUser[];
  readonly faults: readonly LineFault[];
  /** Names with further lines, which don't count. */
  readonly repeated: readonly string[];
}

/** Where groups are: as `auth.groups`, with the path of a file made whole. */
export type GroupSource = string | Readonly<Record<string, readonly string[]>>;

/** The accounts of an htpasswd file; of a file that is missing there are none. */
export async function listUsers(path: string, groups: GroupSource = {}): Promise<ListedUsers> {
  const { users, ...others } = parseUsers(await textOf(path, "utf8"));
  const members = typeof groups === "string" ? parseGroups(await readFile(groups, "utf8")).groups : groupsOf(groups);
  const listed = [...users.values()].flatMap(({ name, hash }): readonly ListedUser[] => {
    const [scheme, weak] = [schemeOf(hash), weaknessOf(hash)];
    return scheme ? [{ name, scheme, ...(weak !== undefined && { weak }), groups: groupsWith(members, name) }] : [];
  });
  return { users: listed, ...others };
}

/** Whether there is an account of that name, also one whose line can't be read. */
export async function hasAccount(path: string, name: string): Promise<boolean> {
  return hasUser(await textOf(path, "latin1"), name);
}

/** Adds an account. Rejects with DATA_INVALID and ACCOUNT_EXISTS. */
export async function makeUser(path: string, name: string, password: string, cost: number): Promise<void> {
  assertAcceptable({ name, password });
  const { hashed } = await import("./password-hash.ts");
  await addUser(path, name, await hashed(password, cost));
}

/** Gives an account another password. Rejects with DATA_INVALID, or when there is no such account. */
export async function changePassword(path: string, name: string, password: string, cost: number): Promise<void> {
  assertAcceptable({ password });
  const { hashed } = await import("./password-hash.ts");
  await changeUser(path, name, await hashed(password, cost));
}

async function textOf(path: string, encoding: "utf8" | "latin1"): Promise<string> {
  try {
    return await readFile(path, encoding);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}
