import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { command, configOption, flavorOption, jsonOption, type Context } from "../command.ts";

/** `config`: what the configuration comes to. */
export function config(context: Context): CommandUnknownOpts {
  const group = command(context, "config", {
    summary: "show what the configuration comes to",
    examples: ["registryctl config show --flavor prod", "registryctl config schema > registryctl.schema.json"],
  });
  for (const define of [show, schema, path]) group.addCommand(define(context));
  return group;
}

function show(context: Context): CommandUnknownOpts {
  return command(context, "show", {
    summary: "show every value of a flavor and where it comes from",
    description: "Shows every value of a flavor as the server sees it, and where it comes from. Secrets are masked.",
    examples: ["registryctl config show", "registryctl config show --flavor prod --json"],
  })
    .addOption(configOption)
    .addOption(flavorOption)
    .addOption(jsonOption)
    .action(async (options) => {
      const { terminal } = context;
      const [{ loadFlavor }, { describe, originText }] = await Promise.all([
        import("../configuration.ts"),
        import("../../server/index.ts"),
      ]);
      const loaded = await loadFlavor(terminal, options);
      const values = describe(loaded);
      if (options.json) {
        await terminal.json({ file: loaded.file, flavor: loaded.flavor, values });
        return;
      }
      await terminal.note(`${loaded.file}, flavor ${loaded.flavor}`);
      await terminal.table(
        ["OPTION", "VALUE", "ORIGIN"],
        values.map(({ key, value, origin }) => [key, shown(value), originText(origin)]),
        (cell, column) => (column === 2 && cell === "default" ? "dim" : column === 0 ? "cyan" : undefined),
      );
    });
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function schema(context: Context): CommandUnknownOpts {
  return command(context, "schema", {
    summary: "print the JSON Schema of a configuration file",
    description:
      "Prints the JSON Schema of a configuration file. An editor with a YAML language server follows the comment " +
      "`# yaml-language-server: $schema=registryctl.schema.json` at the top of the file. With --config it knows the options of " +
      "the drivers by others that the file chooses.",
    examples: [
      "registryctl config schema > registryctl.schema.json",
      "registryctl config schema --config config.yml > registryctl.schema.json",
    ],
  })
    .addOption(configOption)
    .action(async ({ config: configFile }) => {
      const { cwd, env } = context.terminal.io;
      const { configJsonSchema, loadAll } = await import("../../server/index.ts");
      if (configFile !== undefined) await loadAll({ cwd, env, configFile });
      await context.terminal.json(configJsonSchema());
    });
}

function path(context: Context): CommandUnknownOpts {
  return command(context, "path", {
    summary: "print which configuration file is used",
    examples: ["registryctl config path", "DOCKER_REGISTRY_CONFIG=mirror.yml registryctl config path"],
  })
    .addOption(configOption)
    .action(async (options) => {
      const { cwd, env } = context.terminal.io;
      const { findConfig } = await import("../../server/index.ts");
      await context.terminal.print(await findConfig({ cwd, env, configFile: options.config }));
    });
}
