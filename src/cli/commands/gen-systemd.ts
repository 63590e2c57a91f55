import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { dirname, resolve } from "node:path";
import type { Loaded, Settings } from "../../server/index.ts";
import { command, configOption, flavorOption, forceOption, outputOption, type Context } from "../command.ts";
import { CommandError } from "../exit.ts";
import { deliver } from "../files.ts";
import { shellWord } from "../invocation.ts";

/** `gen-systemd`: a unit that runs the registry with as few rights as it can live with. */
export function genSystemd(context: Context): CommandUnknownOpts {
  return command(context, "gen-systemd", {
    summary: "write a systemd service",
    examples: [
      "registryctl gen-systemd --flavor prod --config /etc/registryctl/config.yml",
      "registryctl gen-systemd --output /etc/systemd/system/registryctl.service",
    ],
  })
    .addOption(configOption)
    .addOption(flavorOption)
    .option("--name <service>", "name of the service", "registryctl")
    .option("--user <account>", "who runs it", "registryctl")
    .addOption(outputOption)
    .addOption(forceOption)
    .action(async (options) => {
      const { terminal, version } = context;
      for (const word of [options.name, options.user]) {
        if (!/^[a-z_][a-z0-9_-]{0,30}$/.test(word))
          throw new CommandError("usage", `'${word}' is no name for a service or user`);
      }
      if (options.user === "root")
        throw new CommandError("usage", "the registry needs no root; give it a user of its own");
      const [{ fill }, { loadFlavor }] = await Promise.all([import("../template.ts"), import("../configuration.ts")]);
      const loaded = await loadFlavor(terminal, options);
      const { cwd, self } = terminal.io;
      const view = unit(
        loaded,
        self.map((word) => resolve(cwd, word)),
        `/var/lib/${options.name}`,
      );
      const text = await fill("systemd.service", { ...view, version, name: options.name, user: options.user });
      await deliver(terminal, text, options);
      if (loaded.settings.storage === "local" && isTemporary(loaded.settings.storage_path)) {
        await terminal.warn("images are kept below /tmp, which a restart of the machine may empty: set storage_path");
      }
    });
}

function unit({ file, flavor, settings }: Loaded, self: readonly string[], home: string) {
  const { shutdown_timeout: shutdown, port } = settings.http;
  const writable = [...new Set([...dataFolders(settings, home), ...accountFolders(settings, dirname(file))])];
  const outside = writable.filter((folder) => !isBelow(folder, home));
  const needed = [...writable, ...self, file];
  return {
    flavor,
    command: [...self, "serve", "--config", file, "--flavor", flavor].map(quoted).join(" "),
    shutdown,
    stop: shutdown + 30,
    // The state directory is writable by itself; the - lets the others be made later.
    writable: outside.map((folder) => `-${quoted(folder)}`),
    owned: outside.map(shellWord),
    file: shellWord(file),
    protectHome: needed.some((path) => ["/home", "/root", "/run/user"].some((top) => isBelow(path, top)))
      ? "read-only"
      : "yes",
    privateTmp: needed.some(isTemporary) ? "no" : "yes",
    privilegedPort: port > 0 && port < 1024,
  };
}

function dataFolders(settings: Settings, home: string): string[] {
  const database = /^sqlite:\/\/\/(?<path>.+)$/.exec(settings.sqlalchemy_index_database)?.groups?.["path"];
  return [
    ...(settings.storage === "local" ? [resolve(home, settings.storage_path)] : []),
    ...(settings.search_backend === "database" && database ? [dirname(resolve(home, database))] : []),
  ];
}

/** Where files are that are made anew: who makes an account for themselves changes the one of accounts. */
function accountFolders({ auth }: Settings, folder: string): readonly string[] {
  const files = [auth?.audit_log, auth?.signup === true ? auth.htpasswd : undefined];
  return files.flatMap((path) => (path === undefined ? [] : [dirname(resolve(folder, path))]));
}

function isTemporary(path: string): boolean {
  return ["/tmp", "/var/tmp"].some((top) => isBelow(path, top));
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** systemd's own syntax: % starts a specifier, $ a variable. */
function quoted(word: string): string {
  const escaped = word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /[\s"'\\;]/.test(word) ? `"${escaped}"` : escaped;
}
