import { Option, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { within } from "../../drivers/patience.ts";
import type { Loaded, Probe, Problem } from "../../server/index.ts";
import { command, configOption, flavorOption, jsonOption, type Context } from "../command.ts";
import { CommandError, reason } from "../exit.ts";
import type { Io, Terminal } from "../terminal.ts";

interface Flags {
  readonly config?: string | undefined;
  readonly flavor?: string | undefined;
  readonly all?: true | undefined;
}

/** What a flavor comes to, before anything outside it has been looked at. */
interface Verdict {
  readonly flavor: string | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly loaded?: Loaded | undefined;
}

interface Result {
  readonly name: string;
  readonly subject: string;
  readonly ok: boolean;
  /** What was seen, or what is in the way. */
  readonly detail: string;
  /** What should be better, although it will do. */
  readonly warning?: string;
  /** What to do, when it is not ok or there is a warning. */
  readonly remedy?: string;
}

/** How long the answer of another server is waited for, in milliseconds. */
const patience = 10_000;

/** `check`: says everything that is wrong before the registry is started. */
export function check(context: Context): CommandUnknownOpts {
  return command(context, "check", {
    summary: "tell whether the configuration is right and what it needs is there",
    description:
      "Tells everything that is wrong with a flavor, or all of them, and looks whether what it names is there: storage " +
      "that can be written, databases, Redis and mail server that answer, keys and certificates that can be read, a " +
      "port that is free. Exits with 3 when the configuration is not valid, with 1 when something it needs is missing.",
    examples: [
      "registryctl check",
      "registryctl check --flavor prod --json",
      "registryctl check --all --no-probe --config config.yml",
    ],
  })
    .addOption(configOption)
    .addOption(flavorOption)
    .addOption(new Option("--all", "all flavors of the file").conflicts("flavor"))
    .option("--no-probe", "look at the configuration alone")
    .addOption(jsonOption)
    .action(async (options) => {
      const { terminal } = context;
      const { file, verdicts } = await verdictsOf(terminal.io, options);
      const checked = [];
      for (const [index, verdict] of verdicts.entries()) {
        const results = options.probe && verdict.loaded ? await probed(verdict.loaded, terminal.io.signal) : [];
        checked.push({ ...verdict, results });
        if (options.json) continue;
        if (index > 0) await terminal.print("");
        await show(terminal, file, verdict, results);
      }
      if (options.json) {
        const flavors = checked.map(({ flavor, problems, warnings, results: probes }) => ({
          flavor,
          problems,
          warnings,
          probes,
        }));
        await terminal.json({ file, flavors });
      } else if (options.all) {
        await terminal.note(`\n${summary(verdicts)}`);
      }
      if (verdicts.some(({ problems }) => problems.length > 0)) throw new CommandError("configuration", "");
      if (checked.some(({ results }) => results.some(({ ok }) => !ok))) throw new CommandError("failed", "");
    });
}

async function verdictsOf(
  { cwd, env }: Io,
  { config, flavor, all }: Flags,
): Promise<{ readonly file: string; readonly verdicts: readonly Verdict[] }> {
  const { ConfigError, findConfig, flavorOf, load, loadAll } = await import("../../server/index.ts");
  const search = { cwd, env, configFile: config };
  const file = await findConfig(search);
  try {
    const { problems, flavors } = await loadAll(search);
    const own = problems.length > 0 ? [{ flavor: undefined, problems, warnings: [] }] : [];
    const wanted = flavorOf({ flavor, env });
    const chosen = all ? flavors : flavors.filter((evaluation) => evaluation.flavor === wanted);
    // No such flavor: loading it says so, and names those that there are.
    if (chosen.length === 0) await load({ ...search, flavor: wanted });
    return { file, verdicts: [...own, ...chosen] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { file, verdicts: [{ flavor: undefined, problems: error.problems, warnings: [] }] };
  }
}

/** One line about many flavors. */
function summary(verdicts: readonly Verdict[]): string {
  const wrong = verdicts.filter(({ problems }) => problems.length > 0);
  const names = wrong.map(({ flavor = "the file" }) => flavor).join(", ");
  const mistakes = wrong.length === 0 ? "" : ` With mistakes: ${names}.`;
  return `${verdicts.length - wrong.length} of ${verdicts.length} can be served.${mistakes}`;
}

async function probed(loaded: Loaded, signal: AbortSignal): Promise<readonly Result[]> {
  const { probesOf } = await import("../../server/index.ts");
  return await Promise.all(probesOf(loaded).map(async (each) => await resultOf(each, signal)));
}

async function resultOf(probe: Probe, signal: AbortSignal): Promise<Result> {
  const { name, subject, remedy } = probe;
  try {
    const seen = await within(patience, signal, async (patient) => await probe.run(patient));
    return { name, subject, ok: true, ...(typeof seen === "string" ? { detail: seen } : seen) };
  } catch (error) {
    signal.throwIfAborted();
    return { name, subject, ok: false, detail: reason(error), remedy };
  }
}

async function show(terminal: Terminal, file: string, verdict: Verdict, results: readonly Result[]): Promise<void> {
  const { renderProblem } = await import("../../server/index.ts");
  const { flavor, problems, warnings } = verdict;
  const { stdout } = terminal.io;
  const mark = { ok: terminal.styled(stdout, "green", "ok"), failed: terminal.styled(stdout, "red", "failed") };
  const valid = problems.length === 0;
  await terminal.print(`${valid ? mark.ok : mark.failed}  ${file}${flavor === undefined ? "" : `, flavor ${flavor}`}`);
  for (const problem of problems) await terminal.print(renderProblem(problem));
  for (const warning of warnings)
    await terminal.print(`${terminal.styled(stdout, "yellow", "warning")} ${renderProblem(warning)}`);
  for (const { name, subject, ok, detail, warning, remedy } of results) {
    await terminal.print(`${ok ? mark.ok : mark.failed}  ${name} ${subject}: ${detail}`);
    if (warning !== undefined) {
      await terminal.print(`${terminal.styled(stdout, "yellow", "warning")}  ${name} ${subject}: ${warning}`);
    }
    if (remedy !== undefined) await terminal.print(`  ${remedy}`);
  }
}
