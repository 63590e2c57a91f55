import { CommanderError } from "@commander-js/extra-typings";
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Contestant } from "./contestants/contestant.ts";
import { dockerRegistry } from "./contestants/docker-registry.ts";
import { ownProgram, registryctl } from "./contestants/registryctl.ts";
import { runningAt } from "./contestants/running.ts";
import { killServices } from "./contestants/service.ts";
import { profileTables } from "./cpu-profile.ts";
import { HeldMemory } from "./held-memory.ts";
import { machine } from "./machine.ts";
import { parseOptions, type Options } from "./options.ts";
import { Progress } from "./progress.ts";
import { asJson, asText, type Report } from "./report.ts";
import type { Result } from "./results.ts";
import { run } from "./run.ts";
import { full, quick } from "./scale.ts";
import { chosen } from "./selection.ts";
import { judge } from "./targets.ts";
import { groups } from "./workloads/index.ts";

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args, (text) => process.stderr.write(text));
    return await bench(options, args);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function bench(options: Options, args: readonly string[]): Promise<number> {
  const { freeMemory, isQuick } = options;
  const usual = isQuick ? quick : full;
  // Where little is free, all of that can be touched before each sample.
  const scale = freeMemory === undefined ? usual : { ...usual, warmth: freeMemory };
  const wanted = chosen(groups(scale), options.only);
  if (options.isList) {
    for (const { name, workloads } of wanted) {
      process.stdout.write(`${name}: ${workloads.map((workload) => workload.name).join(", ")}\n`);
    }
    return 0;
  }
  const program = options.program === undefined ? ownProgram : resolve(options.program);
  await requireBuild(program);
  const profiles = options.profile === undefined ? {} : { profiles: resolve(options.profile) };
  const contestants = [registryctl({ program, workers: options.workers, ...profiles }), ...peer(options)];
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), "registryctl-bench-"));
  const progress = new Progress(process.stderr);
  const start = performance.now();
  const results: Result[] = [];
  const report = (): Report => ({
    date: new Date().toISOString().slice(0, 10),
    command: ["npm run bench --", ...args].join(" "),
    machine: machine(),
    contestants: contestants.map(({ name }) => name),
    rounds: options.rounds,
    isQuick: options.isQuick,
    seconds: (performance.now() - start) / 1000,
    results,
    verdicts: judge(results),
  });
  const tell = async (): Promise<void> => {
    progress.clear();
    if (results.length === 0) return;
    process.stdout.write(asText(report()));
    if (options.json !== undefined) await writeFile(options.json, asJson(report()));
  };
  const stopWatching = onInterrupt(folder, tell);
  const memory = await holdMemory(options, progress);
  try {
    const { rounds } = options;
    for await (const measured of run({ contestants, groups: wanted, scale, rounds, folder, progress })) {
      results.push(...measured);
    }
    await tell();
    if (profiles.profiles !== undefined) process.stdout.write(`\n${await profileTables(profiles.profiles)}`);
    const { verdicts } = report();
    const isMissed = options.mustMeetTargets && verdicts.some(({ met }) => met === false);
    return isMissed || results.some(({ failure }) => failure !== undefined) ? 1 : 0;
  } finally {
    stopWatching();
    memory?.release();
    await rm(folder, { recursive: true, force: true });
  }
}

async function holdMemory({ freeMemory }: Options, progress: Progress): Promise<HeldMemory | undefined> {
  if (freeMemory === undefined) return undefined;
  return await HeldMemory.allBut(freeMemory, (bytes) => {
    progress.show(`holding memory: ${(bytes / 1024 ** 3).toFixed(1)} GiB`);
  });
}

async function requireBuild(program: string): Promise<void> {
  await access(join(program, "../../dist/program/main.js")).catch((cause: unknown) => {
    throw new Error(`${program} is not built; run npm run build there first`, { cause });
  });
}

function peer({ peer, workers }: Options): readonly Contestant[] {
  if (peer === "none") return [];
  if (peer.endsWith(".js")) return [registryctl({ name: "other registryctl", program: resolve(peer), workers })];
  return [peer === "docker-registry" ? dockerRegistry() : runningAt(peer)];
}

/** The first signal ends what was started, tells what is done, removes the files and ends the run with 130. */
function onInterrupt(folder: string, tell: () => Promise<void>): () => void {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const interrupted = (): void => {
    void killServices()
      .then(tell)
      .then(async () => {
        await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      })
      .finally(() => process.exit(130));
  };
  for (const signal of signals) process.once(signal, interrupted);
  return () => {
    for (const signal of signals) process.off(signal, interrupted);
  };
}
