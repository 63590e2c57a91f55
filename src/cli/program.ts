import { CommanderError, type Command, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { readFile } from "node:fs/promises";
import { packageFolder } from "../server/package-folder.ts";
import { command, type Context } from "./command.ts";
import { adopt } from "./commands/adopt.ts";
import { auth } from "./commands/auth.ts";
import { check } from "./commands/check.ts";
import { config } from "./commands/config.ts";
import { completion } from "./commands/completion.ts";
import { copy } from "./commands/copy.ts";
import { genApache } from "./commands/gen-apache.ts";
import { genCompose } from "./commands/gen-compose.ts";
import { genNginx } from "./commands/gen-nginx.ts";
import { genSystemd } from "./commands/gen-systemd.ts";
import { init } from "./commands/init.ts";
import { inspect } from "./commands/inspect.ts";
import { keygen } from "./commands/keygen.ts";
import { ls } from "./commands/ls.ts";
import { request } from "./commands/request.ts";
import { rm } from "./commands/rm.ts";
import { serve } from "./commands/serve.ts";
import { user } from "./commands/user.ts";
import { CommandError, exitCodes, reason } from "./exit.ts";
import { Terminal, type Io } from "./terminal.ts";

/** Runs one command line and answers its exit code; whatever goes wrong has been said on stderr. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const terminal = new Terminal(io);
  try {
    const root = program({ terminal, version: await version() });
    await root.parseAsync(args, { from: "user" });
    return exitCodes.done;
  } catch (error) {
    return await failed(error, terminal);
  }
}

/** The whole command line. */
export function program(context: Context): CommandUnknownOpts {
  const root: Command = command(context, "registryctl", {
    summary: "a container registry you host yourself",
    examples: ["registryctl init", "registryctl check", "registryctl serve --flavor prod"],
  })
    .version(context.version, "-V, --version", "show the version")
    .usage("<command> [options]");
  const commands = [
    init,
    check,
    serve,
    adopt,
    copy,
    ls,
    inspect,
    rm,
    user,
    auth,
    config,
    keygen,
    request,
    genNginx,
    genApache,
    genSystemd,
    genCompose,
  ];
  for (const define of commands) root.addCommand(define(context));
  root.addCommand(completion(context, root));
  root.addHelpText("after", "\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration invalid, 130 interrupted.");
  return root;
}

async function version(): Promise<string> {
  const text = await readFile(new URL("package.json", packageFolder), "utf8");
  return /"version": "([^"]+)"/.exec(text)?.[1] ?? "unknown";
}

async function failed(error: unknown, terminal: Terminal): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (isInterruption(error, terminal.io.signal)) return exitCodes.interrupted;
  if (error instanceof CommandError) {
    if (error.message) await terminal.error(reason(error));
    return error.code;
  }
  await terminal.error(reason(error));
  // By name: the configuration's own class would load the whole server for every command.
  return error instanceof Error && error.name === "ConfigError" ? exitCodes.configuration : exitCodes.failed;
}

function isInterruption(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || (error instanceof Error && error.name === "AbortError"));
}
