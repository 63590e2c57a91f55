import { InvalidArgumentError, type CommandUnknownOpts } from "@commander-js/extra-typings";
import cluster from "node:cluster";
import { command, configOption, flavorOption, wholeNumber, type Context } from "../command.ts";
import { CommandError } from "../exit.ts";

/** `serve`: runs the registry until it is told to stop. */
export function serve(context: Context): CommandUnknownOpts {
  return command(context, "serve", {
    summary: "run the registry",
    description:
      "Runs the registry until SIGTERM or SIGINT, then lets uploads and downloads finish; a second signal cuts them. " +
      "It logs to stderr: for people on a terminal, else a JSON object a line.",
    examples: [
      "registryctl serve",
      "registryctl serve --flavor prod --config /etc/registryctl/config.yml",
      "registryctl serve --host 0.0.0.0 --port 5001 --workers auto",
    ],
  })
    .addOption(configOption)
    .addOption(flavorOption)
    .option("--host <address>", "address to listen on, instead of the flavor's")
    .option("-p, --port <number>", "port to listen on, instead of the flavor's; 0 takes any", wholeNumber(0, 65535))
    .option(
      "-w, --workers <count>",
      "how many processes serve, instead of the flavor's; auto is one a processor",
      workers,
    )
    .action(async (options) => {
      const { terminal, version } = context;
      const { io } = terminal;
      const [{ serve: run }, { loadFlavor }] = await Promise.all([
        import("../../server/index.ts"),
        import("../configuration.ts"),
      ]);
      // A worker is this program again: the supervising process has shown the warnings.
      const loaded = await loadFlavor(terminal, options, { quiet: cluster.isWorker });
      const { settings, flavor } = loaded;
      const { host, port } = options;
      const code = await run(
        {
          ...loaded,
          settings: {
            ...settings,
            http: { ...settings.http, ...(host !== undefined && { host }), ...(port !== undefined && { port }) },
            ...(options.workers !== undefined && { workers: options.workers }),
          },
        },
        {
          version,
          debug: { launch: io.self, versions: { registryctl: version, node: io.nodeVersion } },
          readable: io.stderr.isTTY === true,
          stop: io.signal,
          cut: io.force,
          onListening: (url) => {
            if (io.stderr.isTTY) void terminal.note(`registryctl ${version} serves flavor ${flavor} on ${url}`);
          },
        },
      );
      if (code !== 0) throw new CommandError("failed", "");
    });
}

function workers(text: string): number | "auto" {
  if (text === "auto") return text;
  try {
    return wholeNumber(1, 1024)(text);
  } catch {
    throw new InvalidArgumentError("Expected a whole number, from 1 to 1024, or auto.");
  }
}
