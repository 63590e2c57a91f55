import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import type { Context } from "../command.ts";
import { CommandError } from "../exit.ts";
import { parseImageName } from "../image-name.ts";
import { registryCommand, withRegistry } from "../registry-access.ts";
import { assertAskable, confirmRemoval } from "../removal.ts";

/** `rm`: removes a tag, in both protocols. */
export function rm(context: Context): CommandUnknownOpts {
  return registryCommand(context, "rm", {
    summary: "remove a tag",
    description:
      "Removes a tag, for clients of V1 and V2 alike. What it named stays in the store, and can still be pulled by its " +
      "digest. Asks first when there is a terminal; otherwise --yes has to say so.",
    examples: ["registryctl rm team/app:1.0", "registryctl rm team/app:1.0 --yes --flavor prod"],
  })
    .argument("<name:tag>", "what to remove")
    .option("-y, --yes", "do not ask")
    .action(async (name, options) => {
      const { terminal } = context;
      const { repository, reference: tag, isDigest } = parseImageName(name);
      if (isDigest) throw new CommandError("usage", "tags are removed, by NAME:TAG; what a digest names stays");
      assertAskable(terminal, options.yes, `${repository}:${tag}`);
      await withRegistry(terminal, options, "write", async (registry) => {
        await confirmRemoval(terminal, options.yes, `${repository}:${tag}`, registry.name);
        if (!(await registry.removeTag(repository, tag))) {
          throw new CommandError("failed", `${registry.name} has no ${repository}:${tag}`);
        }
        await terminal.print(`removed ${repository}:${tag}`);
      });
    });
}
