import { dirname, resolve } from "node:path";
import type { Loaded, OpenedKeys } from "../server/index.ts";
import { command, configOption, flavorOption, type Context, type Introduction } from "./command.ts";
import type { ConfigurationFlags } from "./configuration.ts";
import { CommandError } from "./exit.ts";
import { firstLineOfInput } from "./files.ts";
import type { Terminal } from "./terminal.ts";

/** A flavor with accounts. */
export interface AccountPlace {
  readonly loaded: Loaded;
  /** The htpasswd file. */
  readonly path: string;
  /** As `auth.groups`, with the path of a file made whole. */
  readonly groups: string | Readonly<Record<string, readonly string[]>>;
}

/** A command about the accounts of a flavor; `accountPlace` takes its flags. */
export function accountCommand(context: Context, name: string, introduction: Introduction) {
  return command(context, name, introduction).addOption(configOption).addOption(flavorOption);
}

/** Where the accounts of the flavor are that the flags mean. Fails when it has none. */
export async function accountPlace(terminal: Terminal, flags: ConfigurationFlags): Promise<AccountPlace> {
  const { loadFlavor } = await import("./configuration.ts");
  const loaded = await loadFlavor(terminal, flags);
  const { flavor, file, settings } = loaded;
  const folder = dirname(file);
  if (settings.auth?.htpasswd === undefined) {
    const remedy = "name the file for accounts there, such as auth: {htpasswd: /etc/registryctl/users}";
    throw new CommandError("configuration", `${file}: flavor ${flavor} has no option auth.htpasswd; ${remedy}`);
  }
  const { htpasswd, groups } = settings.auth;
  return {
    loaded,
    path: resolve(folder, htpasswd),
    groups: typeof groups === "string" ? resolve(folder, groups) : groups,
  };
}

/** The flags that say what a new password is; `newPassword` takes them. */
export interface PasswordFlags {
  readonly passwordStdin?: true | undefined;
}

/** Asks for a new password twice, or reads it from stdin. */
export async function newPassword(terminal: Terminal, name: string, { passwordStdin }: PasswordFlags): Promise<string> {
  if (passwordStdin) return await firstLineOfInput(terminal);
  if (!terminal.interactive) {
    throw new CommandError("usage", "nobody can be asked here: --password-stdin reads the password from stdin");
  }
  const { secret } = await import("./prompt.ts");
  const password = await secret(terminal, `Password for ${name}`);
  if ((await secret(terminal, "The same again")) === password) return password;
  throw new CommandError("failed", "the passwords differ; nothing was changed");
}

/** Works with the API keys of a flavor's storage, and closes it. */
export async function withKeys<T>(
  { settings, flavor }: Loaded,
  access: "read" | "write",
  work: (keys: OpenedKeys) => Promise<T>,
): Promise<T> {
  const { storeName } = await import("./configuration.ts");
  const name = storeName(settings, flavor);
  if (settings.storage === "memory") {
    throw new CommandError("failed", `${name} can't keep API keys: it is gone when the server ends`);
  }
  const { openKeys } = await import("../server/index.ts");
  const keys = await openKeys(settings, access).catch((cause: unknown) => {
    throw new Error(name, { cause });
  });
  try {
    return await work(keys);
  } finally {
    await keys.close();
  }
}
