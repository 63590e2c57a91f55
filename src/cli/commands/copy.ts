import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { dirname } from "node:path";
import { command, configOption, jsonOption, repeated, wholeNumber, type Context } from "../command.ts";
import { CommandError, reasonOf } from "../exit.ts";
import { ProgressBar, size } from "../progress-bar.ts";
import { showProblems, sortedProblems } from "../store-problems.ts";
import type { Terminal } from "../terminal.ts";
import type { CopyCounts, Loaded, StoreProblem } from "../../server/index.ts";

/** So much content is copied at the same time, unless it is said otherwise. */
const usualJobs = 8;

/** `copy`: brings what one store has to another. */
export function copy(context: Context): CommandUnknownOpts {
  return command(context, "copy", {
    summary: "copy images from one storage to another",
    description:
      "Copies everything, or named repositories, from the storage of one flavor to that of another, whatever drivers they " +
      "have; servers may work on both meanwhile. Every blob is hashed on its way, and every name is written after what it " +
      "names. What is there is not copied again: a copy that was cut short goes on where it stopped, and another run " +
      "brings what was pushed since then. Nothing of the source is changed, and no image or tag of the target is deleted; " +
      "a tag that both have names what it names in the source then, unless --keep-tags is given. Uploads and pushes that " +
      "are not finished are left out, and so is content that nothing refers to. What is damaged or missing in the source " +
      "is told and not copied, with the tags that need it; the command goes on, and exits with 1.",
    examples: [
      "registryctl copy --from local --to s3",
      "registryctl copy --from local --to s3 --dry-run",
      "registryctl copy --from prod --to backup --repository team/app --repository 'library/*' --keep-tags",
      "registryctl copy --from prod --to backup --verify --json > report.json",
    ],
  })
    .requiredOption("--from <flavor>", "flavor whose storage is copied")
    .requiredOption("--to <flavor>", "flavor whose storage takes the copy")
    .addOption(configOption)
    .option("-r, --repository <name>", "copy this repository alone, * for any characters; repeatable", repeated)
    .option(
      "-j, --jobs <count>",
      "so many blobs and layers at the same time, three large ones among them",
      wholeNumber(1, 64),
      usualJobs,
    )
    .option("--keep-tags", "leave tags that the target has as they are")
    .option("--verify", "also read and hash what the target has already, and copy again what is damaged")
    .option("-n, --dry-run", "only tell what would be copied")
    .addOption(jsonOption)
    .action(async (options) => {
      const { terminal } = context;
      const { io } = terminal;
      const { config, dryRun = false } = options;
      if (options.from === options.to) throw new CommandError("usage", "--from and --to name the same flavor");
      const { storeName } = await import("../configuration.ts");
      const [from, to] = [await flavorOf(terminal, config, options.from), await flavorOf(terminal, config, options.to)];
      const names = { source: storeName(from.settings, options.from), target: storeName(to.settings, options.to) };
      const problems: StoreProblem[] = [];
      const started = Date.now();
      let bar: ProgressBar | undefined;
      const { copyStore } = await import("../../server/index.ts");
      const counts = await copyStore(from.settings, to.settings, {
        ...{
          repositories: options.repository,
          jobs: options.jobs,
          signal: io.signal,
          folder: dirname(to.file),
          dryRun,
        },
        ...{ keepTags: options.keepTags ?? false, verify: options.verify ?? false },
        warn: (message) => void terminal.warn(message),
        onProblem: (problem) => problems.push(problem),
        ...(io.stderr.isTTY === true && { onPlan: (total) => (bar = new ProgressBar(io.stderr, "copying", total)) }),
        onStep: (step) => bar?.add(step),
      })
        .catch(async (error: unknown) => {
          if (!io.signal.aborted) throw failed(error, names);
          bar?.end();
          await terminal.note("interrupted; what was copied is kept, and the same command goes on from there");
          throw io.signal.reason;
        })
        .finally(() => bar?.end());
      const seconds = (Date.now() - started) / 1000;
      const sorted = sortedProblems(problems);
      if (options.json) {
        await terminal.json({ from: names.source, to: names.target, dryRun, seconds, ...counts, problems: sorted });
      } else {
        await terminal.print(`${names.source} → ${names.target}`);
        await show(terminal, counts, seconds, dryRun);
        await showProblems(terminal, sorted);
        if (dryRun) await terminal.note("nothing was changed");
      }
      if (problems.some(({ severity }) => severity === "broken")) throw new CommandError("failed", "");
    });
}

async function flavorOf(terminal: Terminal, config: string | undefined, flavor: string): Promise<Loaded> {
  const { loadFlavor } = await import("../configuration.ts");
  const loaded = await loadFlavor(terminal, { config, flavor });
  if (loaded.settings.storage !== "memory") return loaded;
  const why = "where no other program finds them";
  throw new CommandError(
    "failed",
    `flavor ${flavor} keeps its images in memory, ${why}: it can't be copied from or to`,
  );
}

/** Says which of the stores is to blame, where that is known. */
function failed(error: unknown, names: { readonly source: string; readonly target: string }): Error {
  const role = error instanceof Error && "role" in error ? error.role : undefined;
  const name = role === "source" || role === "target" ? names[role] : `${names.source} → ${names.target}`;
  return new Error(reasonOf(name, error), { cause: error });
}

async function show(
  terminal: Terminal,
  { repositories, tags, manifests, images, blobs }: CopyCounts,
  seconds: number,
  dryRun: boolean,
): Promise<void> {
  const rows: readonly (readonly [string, number, number, string])[] = [
    ["tags", tags.copied + tags.replaced, tags.there + tags.kept, others({ replaced: tags.replaced, kept: tags.kept })],
    ["manifests", manifests.copied, manifests.there, ""],
    ["V1 images", images.copied, images.there, others({ unfinished: images.unfinished })],
    ["blobs", blobs.copied + blobs.repaired, blobs.there, others({ repaired: blobs.repaired })],
  ];
  const lines = rows.filter(([, copied, there, rest]) => copied + there > 0 || rest !== "");
  await terminal.print(`repositories: ${repositories.v2} of V2, ${repositories.v1} of V1`);
  const verb = dryRun ? "TO COPY" : "COPIED";
  if (lines.length > 0) {
    const table = lines.map(([what, copied, there, rest]) => [what, String(copied), String(there), rest]);
    await terminal.table(["", verb, "THERE", ""], table);
  }
  const rate = dryRun ? "" : ` in ${seconds.toFixed(1)} s, ${size(blobs.bytes / Math.max(seconds, 0.001))}/s`;
  await terminal.print(`${size(blobs.bytes)}${dryRun ? " to copy" : ""}${rate}`);
}

/** What is told of some counts beside the others, as long as they are not 0. */
function others(counts: Readonly<Record<string, number>>): string {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.map(([name, count]) => `${count} ${name}`).join(", ");
}
