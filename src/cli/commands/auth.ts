import { Argument, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { command, configOption, flavorOption, jsonOption, repeated, type Context } from "../command.ts";
import { CommandError } from "../exit.ts";

/** `auth`: who may do what. */
export function auth(context: Context): CommandUnknownOpts {
  const group = command(context, "auth", {
    summary: "tell who may do what",
    examples: ["registryctl auth explain ann push team/app"],
  });
  group.addCommand(explain(context));
  return group;
}

function explain(context: Context): CommandUnknownOpts {
  return command(context, "explain", {
    summary: "tell which rule decides what somebody may do",
    description:
      "Tells which of auth.rules decides whether an account may do something to a repository. Ends with 0 when it is " +
      "allowed, with 1 when it is not. What API keys and other token services restrict is not looked at.",
    examples: [
      "registryctl auth explain ann push team/app",
      "registryctl auth explain anonymous pull public/tool --flavor prod --json",
      "registryctl auth explain build.example.com push team/app --group builders",
    ],
  })
    .argument("<user>", "name of an account, or anonymous for whoever shows no credentials")
    .addArgument(new Argument("<action>", "what they want to do").choices(["pull", "push", "delete"] as const))
    .argument("<repository>", "name of the repository, as clients write it")
    .option("--group <name>", "group beside those of auth.groups, as certificates have; may be repeated", repeated)
    .addOption(configOption)
    .addOption(flavorOption)
    .addOption(jsonOption)
    .action(async (user, action, repository, options) => {
      const { terminal } = context;
      const [{ loadFlavor }, { explainAccess }] = await Promise.all([
        import("../configuration.ts"),
        import("../../server/index.ts"),
      ]);
      const loaded = await loadFlavor(terminal, options);
      const question = { user, action, repository, groups: options.group ?? [] };
      const { allowed, reason, hasAccount, ...facts } = await explainAccess(loaded, question);
      if (options.json) {
        await terminal.json({ user, action, repository, allowed, reason, hasAccount, ...facts });
      } else {
        await terminal.print(`${allowed ? "allowed" : "denied"}: ${reason}`);
        if (hasAccount === false && allowed) {
          await terminal.warn(`there is no account ${user}: only a client's certificate can say so`);
        }
      }
      if (!allowed) throw new CommandError("failed", "");
    });
}
