import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { accountCommand, accountPlace, newPassword, withKeys, type AccountPlace } from "../accounts.ts";
import { command, jsonOption, wholeNumber, type Context } from "../command.ts";
import { CommandError } from "../exit.ts";
import { assertAskable, confirmRemoval } from "../removal.ts";
import type { OpenedKeys } from "../../server/index.ts";
import type { Terminal } from "../terminal.ts";
import { userToken } from "./user-token.ts";

/** `user`: who may log in. */
export function user(context: Context): CommandUnknownOpts {
  const group = command(context, "user", {
    summary: "manage accounts and their API keys",
    description:
      "Changes the accounts in the file that auth.htpasswd names, and their API keys in the storage. A running registry " +
      "sees it within seconds.",
    examples: [
      "registryctl user add ann",
      "registryctl user ls --flavor prod",
      "registryctl user token ann --repository 'team/*' --action pull",
    ],
  });
  for (const define of [add, passwd, rm, ls, userToken]) group.addCommand(define(context));
  return group;
}

/** Of the cost of bcrypt: what is less is too quick, what is more keeps people waiting for minutes. */
const [leastCost, usualCost, mostCost] = [10, 12, 16] as const;

function passwordCommand(context: Context, name: string, summary: string, examples: readonly string[]) {
  return accountCommand(context, name, {
    summary,
    description:
      `${summary[0]?.toUpperCase() ?? ""}${summary.slice(1)}. The password is asked for twice, or read from the first line of stdin; ` +
      "it has from 8 characters to 72 bytes. The file is replaced as a whole: all its other lines stay, and so do its " +
      "owner and its rights.",
    examples,
  })
    .argument("<name>", "name of the account")
    .option("--password-stdin", "read the password from stdin")
    .option(
      "--cost <number>",
      "cost of the bcrypt hash; each more doubles it",
      wholeNumber(leastCost, mostCost),
      usualCost,
    );
}

function add(context: Context): CommandUnknownOpts {
  return passwordCommand(context, "add", "add an account", [
    "registryctl user add ann",
    "registryctl user add builder --password-stdin --flavor prod < password",
  ]).action(async (name, options) => {
    const { terminal } = context;
    const place = await accountPlace(terminal, options);
    const { hasAccount, makeUser, nameFault } = await import("../../server/index.ts");
    const fault = nameFault(name);
    if (fault !== undefined) throw new CommandError("usage", fault);
    if (await hasAccount(place.path, name)) {
      throw new CommandError(
        "failed",
        `there is an account ${name} in ${place.path}; registryctl user passwd changes it`,
      );
    }
    const password = await newPassword(terminal, name, options);
    // Keys of somebody who had the name before are not theirs.
    await removeKeys(terminal, place, name);
    await explained(makeUser(place.path, name, password, options.cost), place);
    await terminal.print(`added ${name} to ${place.path}`);
  });
}

function passwd(context: Context): CommandUnknownOpts {
  return passwordCommand(context, "passwd", "give an account another password", [
    "registryctl user passwd ann",
    "registryctl user passwd builder --password-stdin < password",
  ]).action(async (name, options) => {
    const { terminal } = context;
    const place = await accountPlace(terminal, options);
    const { changePassword, hasAccount } = await import("../../server/index.ts");
    if (!(await hasAccount(place.path, name)))
      throw new CommandError("failed", `there is no account ${name} in ${place.path}`);
    const password = await newPassword(terminal, name, options);
    await explained(changePassword(place.path, name, password, options.cost), place);
    await terminal.print(`changed the password of ${name} in ${place.path}`);
  });
}

function rm(context: Context): CommandUnknownOpts {
  return accountCommand(context, "rm", {
    summary: "remove an account and its API keys",
    description:
      "Removes an account and its API keys. Asks first when there is a terminal; otherwise --yes has to say so. Images " +
      "stay.",
    examples: ["registryctl user rm ann", "registryctl user rm builder --yes --flavor prod"],
  })
    .argument("<name>", "name of the account")
    .option("-y, --yes", "do not ask")
    .action(async (name, options) => {
      const { terminal } = context;
      const place = await accountPlace(terminal, options);
      assertAskable(terminal, options.yes, name);
      await confirmRemoval(terminal, options.yes, name, place.path);
      const { removeUser } = await import("../../server/index.ts");
      await explained(removeUser(place.path, name), place);
      await terminal.print(`removed ${name} from ${place.path}`);
      await removeKeys(terminal, place, name);
    });
}

function ls(context: Context): CommandUnknownOpts {
  return accountCommand(context, "ls", {
    summary: "list accounts",
    description:
      "Lists all accounts, how their passwords are hashed, and the groups they are in. Hashes that whoever has the file " +
      "would soon undo are called weak.",
    examples: ["registryctl user ls", "registryctl user ls --flavor prod --json"],
  })
    .addOption(jsonOption)
    .action(async (options) => {
      const { terminal } = context;
      const { path, groups } = await accountPlace(terminal, options);
      const { listUsers } = await import("../../server/index.ts");
      const { users, faults, repeated } = await listUsers(path, groups);
      if (options.json) {
        await terminal.json({ file: path, users, faults, repeated });
        return;
      }
      for (const { line, problem } of faults) await terminal.warn(`${path}, line ${line} ${problem}`);
      for (const name of repeated) await terminal.warn(`${path}: of ${name}, only the first line counts`);
      if (users.length === 0) await terminal.note(`${path} has no accounts; registryctl user add makes one`);
      else await terminal.table(["USER", "PASSWORD", "GROUPS"], users.map(row));
    });
}

function row(one: { name: string; scheme: string; weak?: string; groups: readonly string[] }): readonly string[] {
  return [one.name, one.weak === undefined ? one.scheme : `weak: ${one.weak}`, one.groups.join(", ")];
}

/** The storage is only changed where there is something to remove. */
async function removeKeys(terminal: Terminal, { loaded }: AccountPlace, name: string): Promise<void> {
  if (loaded.settings.storage === "memory") return;
  const found = await withKeys(loaded, "read", async (keys) => await hasKeys(keys, name));
  if (!found) return;
  const count = await withKeys(loaded, "write", async (keys) => await keys.removeOf(name));
  await terminal.print(`removed ${count} API ${count === 1 ? "key" : "keys"} of ${name}`);
}

async function hasKeys(keys: OpenedKeys, name: string): Promise<boolean> {
  for await (const key of keys.list()) if (key.name === name) return true;
  return false;
}

async function explained(change: Promise<void>, { path }: AccountPlace): Promise<void> {
  try {
    await change;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "DATA_INVALID" && cause instanceof Error) throw new CommandError("usage", cause.message);
    const remedy = code === "EBUSY" ? ": it can't be replaced; mount the folder that it is in, not the file alone" : "";
    throw new CommandError("failed", `${path} was not changed${remedy}`, { cause });
  }
}
