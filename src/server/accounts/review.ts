import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { AccountFiles, type AccountSettings } from "./account-files.ts";
import { listUsers } from "./administration.ts";

/** What there is to say of accounts that can be served, and what of it should be better. */
export type Review = string | { readonly detail: string; readonly warning: string; readonly remedy: string };

/** Reads the files as the server will. Rejects with what it would miss. */
export async function reviewAccounts(settings: AccountSettings, folder: string): Promise<Review> {
  await AccountFiles.open(settings, { folder, onFault: () => undefined });
  const path = resolve(folder, settings.htpasswd);
  const { users, repeated } = await listUsers(path);
  const weak = users.flatMap(({ name, weak: why }) => (why === undefined ? [] : `${name} (${why})`));
  const isOpen = ((await stat(path)).mode & 0o004) !== 0;
  const found = [
    ...(weak.length === 0
      ? []
      : [[`weak hashes: ${weak.join(", ")}`, "New passwords get safe ones: registryctl user passwd."]]),
    ...(repeated.length === 0
      ? []
      : [[`further lines that don't count: ${repeated.join(", ")}`, "Remove those lines."]]),
    ...(isOpen ? [["everybody on this machine can read it", `Keep it from others: chmod o-r ${path}`]] : []),
  ];
  const detail = `${users.length} ${users.length === 1 ? "account" : "accounts"}`;
  if (found.length === 0) return detail;
  return {
    detail,
    warning: found.map(([what]) => what).join("; "),
    remedy: found.map(([, remedy]) => remedy).join(" "),
  };
}
