import type { CommandUnknownOpts, Option } from "@commander-js/extra-typings";

/** What may follow: files, some words, or something that cannot be guessed. */
type Values = "files" | "unknown" | readonly string[];

interface Flag {
  readonly short: string | undefined;
  readonly long: string;
  readonly description: string;
  /** Absent when the option takes no value. */
  readonly values?: Values;
}

/** One command with all that may be typed after it; `path` is the words that lead to it, "" for the program. */
export interface Level {
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly flags: readonly Flag[];
  readonly values: Values;
}

/** Every command of a program, itself first. */
export function levels(command: CommandUnknownOpts, path = ""): Level[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((child) => child.name() !== "help");
  const argument = command.registeredArguments[0];
  const level: Level = {
    path,
    commands: commands.map((child) => ({ name: child.name(), description: child.summary() })),
    flags: help.visibleOptions(command).map(flag),
    values: argument ? valuesOf(argument.argChoices, argument.name()) : "unknown",
  };
  return [level, ...commands.flatMap((child) => levels(child, `${path} ${child.name()}`.trim()))];
}

function flag(option: Option): Flag {
  const takesValue = option.required || option.optional;
  return {
    short: option.short,
    long: option.long ?? option.flags,
    description: option.description,
    ...(takesValue && { values: valuesOf(option.argChoices, option.flags) }),
  };
}

function valuesOf(choices: readonly string[] | undefined, name: string): Values {
  return choices ?? (/file|folder|path/.test(name) ? "files" : "unknown");
}

/** A script for bash 3.2 and later. */
export function bash(name: string, all: readonly Level[]): string {
  const values = all.flatMap((level) =>
    level.flags.flatMap((option) => {
      if (option.values === undefined) return [];
      return [`    ${patterns(level, option)}) ${bashReply(option.values)}; return ;;`];
    }),
  );
  const words = all.map((level) => {
    const flags = level.flags.flatMap(({ short, long }) => (short ? [short, long] : [long]));
    const positional = level.commands.length > 0 ? level.commands.map((child) => child.name) : level.values;
    return `    ${quoted(level.path)}) flags=${quoted(flags.join(" "))}; ${bashReply(positional)} ;;`;
  });
  return `# bash completion for ${name}
_${name}() {
  local IFS=$'\\n' current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" level= flags= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$level $word" in
${steps(all, (from, to) => `      ${quoted(from)}) level=${quoted(to)} ;;`)}
    esac
  done
  COMPREPLY=()
  case "$level $previous" in
${values.join("\n")}
  esac
  case "$level" in
${words.join("\n")}
  esac
  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "\${flags// /$IFS}" -- "$current")); fi
}
complete -F _${name} ${name}
`;
}

function bashReply(values: Values): string {
  if (values === "unknown") return ":";
  if (values === "files") return 'compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- "$current"))';
  return `COMPREPLY=($(compgen -W ${quoted(values.join("\n"))} -- "$current"))`;
}

/** A script for zsh, to be sourced or put into a folder of `fpath`. */
export function zsh(name: string, all: readonly Level[]): string {
  const values = all.flatMap((level) =>
    level.flags.flatMap((option) => {
      if (option.values === undefined) return [];
      return [`    ${patterns(level, option)}) ${zshReply(option.values)}; return ;;`];
    }),
  );
  const words = all.map((level) => {
    const commands = level.commands.map((child) => described(child.name, child.description)).join(" ");
    const flags = level.flags.map((option) => described(option.long, option.description)).join(" ");
    const positional = level.commands.length > 0 ? `choices=(${commands})` : zshReply(level.values);
    return `    ${quoted(level.path)}) if [[ $words[CURRENT] == -* ]]; then choices=(${flags}); else ${positional}; fi ;;`;
  });
  return `#compdef ${name}
_${name}() {
  local level= word
  local -a choices
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$level $word" in
${steps(all, (from, to) => `      ${quoted(from)}) level=${quoted(to)} ;;`)}
    esac
  done
  case "$level $words[CURRENT-1]" in
${values.join("\n")}
  esac
  case "$level" in
${words.join("\n")}
  esac
  _describe ${name} choices
}
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function described(word: string, description: string): string {
  return quoted(`${word}:${description}`);
}

function zshReply(values: Values): string {
  if (values === "unknown") return ":";
  return values === "files" ? "_files" : `compadd -- ${values.map(quoted).join(" ")}`;
}

/** A script for fish. */
export function fish(name: string, all: readonly Level[]): string {
  const lines = all.flatMap((level) => {
    const at = `complete -c ${name} -n "__${name}_at '${level.path}'"`;
    const positional =
      level.values === "files"
        ? [`${at} -F`]
        : level.values === "unknown"
          ? []
          : [`${at} -a ${quoted(level.values.join(" "))}`];
    return [
      ...level.commands.map((child) => `${at} -a ${child.name} -d ${fishQuoted(child.description)}`),
      ...positional,
      ...level.flags.map((option) => `${at}${fishFlag(option)} -d ${fishQuoted(option.description)}`),
    ];
  });
  return `# fish completion for ${name}
function __${name}_at
    set -l level ''
    for word in (commandline -opc)[2..-1]
        switch "$level $word"
${steps(all, (from, to) => `            case ${quoted(from)}\n                set level ${quoted(to)}`)}
        end
    end
    test "$level" = "$argv[1]"
end
complete -c ${name} -f
${lines.join("\n")}
`;
}

function fishFlag({ short, long, values }: Flag): string {
  const names = `${short ? ` -s ${short.slice(1)}` : ""} -l ${long.slice(2)}`;
  if (values === undefined) return names;
  if (values === "files") return `${names} -r -F`;
  return values === "unknown" ? `${names} -x` : `${names} -x -a ${quoted(values.join(" "))}`;
}

function steps(all: readonly Level[], line: (from: string, to: string) => string): string {
  return all
    .flatMap(({ path, commands }) => commands.map(({ name }) => line(`${path} ${name}`, `${path} ${name}`.trim())))
    .join("\n");
}

function patterns({ path }: Level, { short, long }: Flag): string {
  return [short, long].flatMap((word) => (word ? [quoted(`${path} ${word}`)] : [])).join("|");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
