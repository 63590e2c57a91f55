import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { dirname, resolve } from "node:path";
import { command, configOption, flavorOption, jsonOption, type Context } from "../command.ts";
import { CommandError, reasonOf } from "../exit.ts";
import { ProgressBar } from "../progress-bar.ts";
import { showProblems, sortedProblems } from "../store-problems.ts";
import type { Terminal } from "../terminal.ts";
import type { AdoptReport, Settings, StoreProblem } from "../../server/index.ts";

interface Subject {
  readonly settings: Settings;
  /** How the store is called. */
  readonly name: string;
  readonly folder: string;
}

/** `adopt`: opens the data of an old registry. */
export function adopt(context: Context): CommandUnknownOpts {
  return command(context, "adopt", {
    summary: "open the data of an old registry",
    description:
      "Looks through the data of a Python docker-registry (0.6 to 0.9) or of a registry:2, and tells what is in it and " +
      "what is broken; nothing is changed. With --write every tag of the old registry is made ready for the clients of " +
      "today, and the flavor's search index is filled. No file of the old registry is changed then either, and layers " +
      "take no second place on a local disk. It may be interrupted and run again, also beside a running server. " +
      "Exits with 1 when something is broken.",
    examples: [
      "registryctl adopt /var/lib/docker-registry",
      "registryctl adopt /var/lib/docker-registry --write",
      "registryctl adopt --flavor prod --write --json > report.json",
    ],
  })
    .argument("[folder]", "folder with the data; otherwise the flavor's storage")
    .addOption(configOption)
    .addOption(flavorOption)
    .option("-w, --write", "prepare every tag for the clients of today")
    .option("--quick", "read no layers: damaged ones and wrong checksums are not found")
    .option("--verify", "also read and hash what was pushed to a registry:2")
    .addOption(jsonOption)
    .action(async (folder, options) => {
      const { terminal } = context;
      const { io } = terminal;
      if (folder !== undefined && (options.flavor !== undefined || options.config !== undefined)) {
        throw new CommandError("usage", "a folder and a flavor's storage cannot both be adopted: name one of them");
      }
      if (options.write && options.quick) {
        throw new CommandError("usage", "--write has to read all layers, so that --quick does not go with it");
      }
      const subject = folder === undefined ? await ofFlavor(terminal, options) : await ofFolder(terminal, folder);
      const problems: StoreProblem[] = [];
      let bar: ProgressBar | undefined;
      const { adoptStore } = await import("../../server/index.ts");
      const report = await adoptStore(subject.settings, {
        ...{ write: options.write ?? false, quick: options.quick ?? false, verify: options.verify ?? false },
        ...{ signal: io.signal, folder: subject.folder },
        warn: (message) => void terminal.warn(message),
        onProblem: (problem) => problems.push(problem),
        onPlan: ({ part, ...total }) => {
          bar?.end();
          bar = new ProgressBar(io.stderr, part === "v1" ? "reading layers" : "checking V2", total);
        },
        onStep: (step) => bar?.add(step),
      })
        .catch(async (error: unknown) => {
          if (!io.signal.aborted) throw new Error(reasonOf(subject.name, error), { cause: error });
          bar?.end();
          await terminal.note("interrupted; what was done is kept, and the same command goes on from there");
          throw io.signal.reason;
        })
        .finally(() => bar?.end());
      if (!report.v1 && !report.v2) {
        const expected = "expected repositories/ and images/, or docker/registry/v2/repositories/, in it";
        throw new CommandError("failed", `${subject.name} holds no data of a registry: ${expected}`);
      }
      const sorted = sortedProblems(problems);
      if (options.json)
        await terminal.json({ store: subject.name, written: options.write ?? false, ...report, problems: sorted });
      else await show(terminal, subject.name, report, sorted, options.write ?? false);
      if (problems.some(({ severity }) => severity === "broken")) throw new CommandError("failed", "");
    });
}

async function ofFlavor(
  terminal: Terminal,
  flags: { readonly config?: string | undefined; readonly flavor?: string | undefined },
): Promise<Subject> {
  const { loadFlavor, storeName } = await import("../configuration.ts");
  const { settings, flavor, file } = await loadFlavor(terminal, flags);
  if (settings.storage === "memory") {
    throw new CommandError("failed", `flavor ${flavor} keeps its images in memory, where no other program finds them`);
  }
  return { settings, name: storeName(settings, flavor), folder: dirname(file) };
}

async function ofFolder(terminal: Terminal, folder: string): Promise<Subject> {
  const { settingsOf } = await import("../../server/index.ts");
  const path = resolve(terminal.io.cwd, folder);
  return { settings: settingsOf({ storage: "local", storage_path: path }), name: path, folder: path };
}

async function show(
  terminal: Terminal,
  name: string,
  { v1, v2, indexed }: AdoptReport,
  problems: readonly StoreProblem[],
  written: boolean,
): Promise<void> {
  await terminal.print(name);
  if (v1) {
    await terminal.print(
      `docker-registry (V1): ${count(v1.repositories, "repository", "repositories")}, ${count(v1.tags, "tag")}, ` +
        count(v1.images, "image"),
    );
    await terminal.print(`  ${v1.sound} of ${count(v1.tags, "tag")} can be pulled, ${v1.prepared} are ready for V2`);
    if (v1.untaggedImages > 0) await terminal.print(`  ${count(v1.untaggedImages, "image")} without a tag`);
    if (v1.unfinishedPushes > 0)
      await terminal.print(`  ${count(v1.unfinishedPushes, "push", "pushes")} never finished`);
  }
  if (v2 && v2.repositories > 0) {
    const found = `${count(v2.repositories, "repository", "repositories")}, ${count(v2.tags, "tag")}`;
    await terminal.print(`registry:2 (V2): ${found}\n  ${v2.sound} of ${count(v2.tags, "tag")} can be pulled`);
  }
  if (indexed !== undefined) {
    const added = count(indexed, "repository", "repositories");
    await terminal.print(indexed > 0 ? `${added} added to the search index` : "the search index was filled before");
  }
  await showProblems(terminal, problems);
  const left = v1 ? v1.sound - v1.prepared : 0;
  if (!written && left > 0) {
    await terminal.note(`nothing was changed; --write makes ${count(left, "tag")} ready, as the first pull would`);
  }
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
