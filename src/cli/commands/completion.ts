import { Argument, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { command, type Context } from "../command.ts";
import { bash, fish, levels, zsh } from "../completion.ts";

const shells = { bash, zsh, fish } as const;

/** `completion`: a script for the user's shell, made from the commands as they are defined. */
export function completion(context: Context, root: CommandUnknownOpts): CommandUnknownOpts {
  return command(context, "completion", {
    summary: "print a completion script for a shell",
    examples: [
      "source <(registryctl completion bash)",
      "registryctl completion zsh > ~/.zfunc/_registryctl",
      "registryctl completion fish > ~/.config/fish/completions/registryctl.fish",
    ],
  })
    .addArgument(new Argument("<shell>", "which shell").choices(["bash", "zsh", "fish"] as const))
    .action(async (shell) => {
      await context.terminal.print(shells[shell](root.name(), levels(root)));
    });
}
