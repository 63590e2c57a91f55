import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { Terminal } from "./terminal.ts";

/** What every command is given. */
export interface Context {
  readonly terminal: Terminal;
  readonly version: string;
}

/** How a command introduces itself; examples are whole command lines that work as printed. */
export interface Introduction {
  readonly summary: string;
  /** More than one sentence, for `--help`; the summary when absent. */
  readonly description?: string;
  readonly examples: readonly string[];
}

/** A command that writes to the context's streams and throws where commander would end the process. */
export function command(context: Context, name: string, introduction: Introduction): Command {
  const { terminal } = context;
  const examples = introduction.examples.map((example) => `  $ ${example}`).join("\n");
  return new Command(name)
    .summary(introduction.summary)
    .description(introduction.description ?? introduction.summary)
    .exitOverride()
    .showSuggestionAfterError()
    .helpOption("-h, --help", "show this help")
    .configureOutput({
      writeOut: (text) => void terminal.io.stdout.write(text),
      writeErr: (text) => void terminal.io.stderr.write(text),
      outputError: (text, print) => {
        print(text.replace(/^error:/, terminal.styled(terminal.io.stderr, "red", "error:")));
      },
      getOutHasColors: () => terminal.colours(terminal.io.stdout),
      getErrHasColors: () => terminal.colours(terminal.io.stderr),
      getOutHelpWidth: () => Math.min(terminal.io.stdout.columns ?? 100, 120),
      getErrHelpWidth: () => Math.min(terminal.io.stderr.columns ?? 100, 120),
    })
    .configureHelp({ styleTitle: (title) => terminal.styled(terminal.io.stdout, "bold", title) })
    .addHelpText("after", `\n${examples.includes("\n") ? "Examples" : "Example"}:\n${examples}`);
}

/** Options that several commands take; commander infers the type from the flags. */
export const configOption = new Option(
  "-c, --config <file>",
  "configuration file (default: $DOCKER_REGISTRY_CONFIG, then config/config.yml)",
);
export const flavorOption = new Option(
  "-f, --flavor <name>",
  "flavor of the configuration (default: $SETTINGS_FLAVOR, then dev)",
);
export const jsonOption = new Option("--json", "print JSON");
export const outputOption = new Option("-o, --output <file>", "write to this file instead of stdout");
export const forceOption = new Option("--force", "replace files that exist");

/** Parses a whole number from `least` to `most`; anything else is wrong usage that names the range. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`Expected a whole number, ${range}.`);
  };
}

/** For options that may be given several times. */
export function repeated(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
