import { InvalidArgumentError, Option, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { accountCommand, accountPlace, withKeys } from "../accounts.ts";
import { command, jsonOption, repeated, type Context } from "../command.ts";
import { CommandError } from "../exit.ts";
import type { StoredKey } from "../../server/index.ts";

/** `user token`: API keys, which machines use in the place of a password. */
export function userToken(context: Context): CommandUnknownOpts {
  const group = command(context, "token", {
    summary: "make, list and revoke API keys",
    description:
      "Makes, lists and revokes API keys: passwords for machines, each for some repositories and actions alone, for a time. " +
      "A key lets nobody do what its account may not. Keys are kept in the storage, so that all servers of a bucket know " +
      "them; of the key itself, only a hash. `registryctl user token NAME` is short for `registryctl user token add NAME`.",
    examples: [
      "registryctl user token ann --repository 'team/*' --action pull,push --expires 90d",
      "registryctl user token ls ann",
      "registryctl user token rm 1Q8Zk0aVxW",
    ],
  });
  group.addCommand(add(context), { isDefault: true });
  for (const define of [ls, rm]) group.addCommand(define(context));
  return group;
}

const allActions = ["pull", "push", "delete"] as const;
type Action = (typeof allActions)[number];

function add(context: Context): CommandUnknownOpts {
  return accountCommand(context, "add", {
    summary: "make an API key",
    description:
      "Makes an API key and prints it, for the only time: no one can read it from the storage. Clients send it as the " +
      "password of the account.",
    examples: [
      "registryctl user token add ann --repository team/app --repository 'library/*' --action pull,push",
      "registryctl user token add builder --repository '*' --action all --expires never --description 'build server'",
    ],
  })
    .argument("<name>", "account that it is a key of")
    .requiredOption("-r, --repository <name>", "repository that it is for, * for any characters; repeatable", repeated)
    .addOption(
      new Option("-a, --action <list>", "what it is for: pull, push, delete or all, separated by commas")
        .default(actionsOf("pull"), "pull")
        .argParser(actionsOf),
    )
    .addOption(
      new Option("-e, --expires <time>", "how long it is good for, such as 12h, 90d or 1y; or never")
        .default(spanOf("90d"), "90d")
        .argParser(spanOf),
    )
    .option("--description <text>", "what it is used for, to know it again")
    .addOption(jsonOption)
    .action(async (name, options) => {
      const { terminal } = context;
      const { loaded, path } = await accountPlace(terminal, options);
      const { listUsers } = await import("../../server/index.ts");
      if (!(await listUsers(path)).users.some((user) => user.name === name)) {
        throw new CommandError("failed", `there is no account ${name} in ${path}`);
      }
      const expires = Number.isFinite(options.expires) ? new Date(Date.now() + options.expires) : undefined;
      const { repository: repositories, action: actions, description } = options;
      const limits = { name, repositories, actions, expires, description };
      const { key, stored } = await withKeys(loaded, "write", async (keys) => await keys.give(limits));
      if (options.json) {
        await terminal.json({ key, ...shown(stored) });
        return;
      }
      await terminal.print(key);
      await terminal.note(
        `This is key ${stored.id} of ${name}, ${until(stored)}. It is not shown again; clients send it as the password.`,
      );
    });
}

function ls(context: Context): CommandUnknownOpts {
  return accountCommand(context, "ls", {
    summary: "list API keys",
    examples: ["registryctl user token ls", "registryctl user token ls ann --json"],
  })
    .argument("[name]", "account whose keys are listed")
    .addOption(jsonOption)
    .action(async (name, options) => {
      const { terminal } = context;
      const { loaded } = await accountPlace(terminal, options);
      const listed = await withKeys(loaded, "read", async (keys) => {
        const found: StoredKey[] = [];
        for await (const key of keys.list()) if (name === undefined || key.name === name) found.push(key);
        return found.sort((a, b) => a.created.getTime() - b.created.getTime());
      });
      if (options.json) {
        await terminal.json({ keys: listed.map(shown) });
      } else if (listed.length === 0) {
        await terminal.note(name === undefined ? "there are no API keys" : `${name} has no API keys`);
      } else {
        await terminal.table(["ID", "USER", "REPOSITORIES", "ACTIONS", "EXPIRES", "DESCRIPTION"], listed.map(row));
      }
    });
}

function rm(context: Context): CommandUnknownOpts {
  return accountCommand(context, "rm", {
    summary: "revoke API keys",
    description: "Revokes API keys. Servers take them for some seconds more.",
    examples: ["registryctl user token rm 1Q8Zk0aVxW", "registryctl user token rm 1Q8Zk0aVxW 7bTq2LmYcE --flavor prod"],
  })
    .argument("<id...>", "keys, by the ids that ls shows")
    .action(async (ids, options) => {
      const { terminal } = context;
      const { loaded } = await accountPlace(terminal, options);
      const missing = await withKeys(loaded, "write", async (keys) => {
        const unknown: string[] = [];
        for (const id of ids) {
          if (/^\w+$/.test(id) && (await keys.remove(id))) await terminal.print(`revoked ${id}`);
          else unknown.push(id);
        }
        return unknown;
      });
      if (missing.length > 0) throw new CommandError("failed", `there is no key ${missing.join(", ")}`);
    });
}

/** A key as it is shown: without the hash. */
function shown({ id, name, repositories, actions, created, expires, description }: StoredKey): object {
  return { id, name, repositories, actions, created, expires, description };
}

function row(key: StoredKey): readonly string[] {
  const { id, name, repositories, actions, description = "" } = key;
  return [id, name, repositories.join(" "), actions.join(","), until(key), description];
}

function until({ expires }: StoredKey): string {
  if (!expires) return "good for ever";
  const passed = expires.getTime() <= Date.now();
  return `${passed ? "expired on" : "good until"} ${expires.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function actionsOf(text: string): readonly Action[] {
  const words = text.split(",").map((word) => word.trim());
  if (words.length === 1 && words[0] === "all") return allActions;
  const actions = allActions.filter((action) => words.includes(action));
  if (actions.length === words.length) return actions;
  throw new InvalidArgumentError("Expected pull, push and delete, separated by commas, or all.");
}

const hour = 3_600_000;
const units = { h: hour, d: 24 * hour, w: 7 * 24 * hour, y: 365 * 24 * hour } as const;

/** Milliseconds. */
function spanOf(text: string): number {
  if (text === "never") return Number.POSITIVE_INFINITY;
  const [, number = "", unit = ""] = /^([1-9]\d{0,4})([hdwy])$/.exec(text) ?? [];
  const milliseconds = Object.entries(units).find(([letter]) => letter === unit)?.[1];
  if (milliseconds !== undefined && Number(number) * milliseconds <= 100 * units.y)
    return Number(number) * milliseconds;
  throw new InvalidArgumentError("Expected a time such as 12h, 90d, 8w or 1y, or never.");
}
