import { RegistryError } from "../errors.ts";
import { editFile } from "./file-edit.ts";
import { nameFault, passwordFault } from "./acceptable.ts";
import { hasUser, withoutUser, withUser } from "./user-file.ts";

/** Rejects with DATA_INVALID when no account can have this name, or nobody this password. */
export function assertAcceptable({ name, password }: { readonly name?: string; readonly password?: string }): void {
  const fault =
    (name === undefined ? undefined : nameFault(name)) ??
    (password === undefined ? undefined : passwordFault(password));
  if (fault !== undefined) throw new RegistryError("DATA_INVALID", { message: fault });
}

/** Adds a user to an htpasswd file, which is made where there is none. Rejects with ACCOUNT_EXISTS. */
export async function addUser(path: string, name: string, hash: string): Promise<void> {
  await editFile(path, (text = "") => {
    if (hasUser(text, name)) throw new RegistryError("ACCOUNT_EXISTS", { message: `there is an account ${name}` });
    return withUser(text, name, hash);
  });
}

/** Gives a user of an htpasswd file another password. Rejects when there is no such user. */
export async function changeUser(path: string, name: string, hash: string): Promise<void> {
  await editFile(path, (text = "") => {
    if (!hasUser(text, name)) throw unknown(name);
    return withUser(text, name, hash);
  });
}

/** Removes a user from an htpasswd file. Rejects when there is no such user. */
export async function removeUser(path: string, name: string): Promise<void> {
  await editFile(path, (text = "") => {
    if (!hasUser(text, name)) throw unknown(name);
    return withoutUser(text, name);
  });
}

function unknown(name: string): Error {
  return new Error(`there is no account ${name}`);
}
