import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { PassThrough } from "node:stream";
import { program } from "../src/cli/program.ts";
import { Terminal } from "../src/cli/terminal.ts";

/** The reference of all commands, as Markdown: what each says of itself with `--help`. */
export function commandReference(): string {
  const stdout = new PassThrough({ encoding: "utf8" });
  const signal = new AbortController().signal;
  const terminal = new Terminal({
    ...{ stdin: new PassThrough(), stdout, stderr: new PassThrough(), env: {}, cwd: "/", signal, force: signal },
    ...{ self: ["registryctl"], nodeVersion: "" },
  });
  // No real version: a release does not make this page stale.
  const root = program({ terminal, version: "VERSION" });
  const help = (command: CommandUnknownOpts): string => {
    command.outputHelp();
    return String(stdout.read()).trimEnd();
  };
  const sections = commandsIn(root, "").map(
    ({ path, command }) => `## ${path}\n\n\`\`\`text\n${help(command)}\n\`\`\`\n`,
  );
  return [introduction, ...sections].join("\n");
}

const introduction = `# Commands

This page is generated: it is what every command says with \`--help\`.

Data goes to stdout, everything else to stderr. Colours are for terminals; \`NO_COLOR\` turns them off.
`;

function commandsIn(
  command: CommandUnknownOpts,
  above: string,
): readonly { readonly path: string; readonly command: CommandUnknownOpts }[] {
  const path = `${above}${command.name()}`;
  return [{ path, command }, ...command.commands.flatMap((below) => commandsIn(below, `${path} `))];
}
