import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { missingPrograms } from "../test/support/needs.ts";
import { behindNginx } from "./contestants/behind-nginx.ts";
import type { Contestant } from "./contestants/contestant.ts";
import { onStore } from "./contestants/on-store.ts";
import { Load } from "./load/load.ts";
import { measure, tolerated, type Measured } from "./measure.ts";
import type { Progress } from "./progress.ts";
import { ratio, summary, type Result } from "./results.ts";
import type { Scale } from "./scale.ts";
import { figure } from "./table.ts";
import type { Group, Target, Workload } from "./workloads/workload.ts";

/** What a run needs. */
export interface Run {
  /** registryctl, then the peer if there is one. */
  readonly contestants: readonly Contestant[];
  readonly groups: readonly Group[];
  readonly scale: Scale;
  readonly rounds: number;
  /** Stores and clients' files go below it; what is there when a group ends is removed. */
  readonly folder: string;
  readonly progress: Progress;
}

/**
 * Measures every workload on every contestant, and yields the results of group after group; a workload that fails is a
 * result, and the next one begins.
 */
export async function* run({ groups, ...rest }: Run): AsyncGenerator<readonly Result[]> {
  const [load, background] = [new Load(), new Load()];
  try {
    for (const group of groups) yield await runGroup(group, { ...rest, load, background });
  } finally {
    load.stop();
    background.stop();
  }
}

interface GroupRun extends Omit<Run, "groups"> {
  readonly load: Load;
  readonly background: Load;
}

async function runGroup(group: Group, run: GroupRun): Promise<readonly Result[]> {
  const possible = group.workloads.map((workload) => ({ workload, skipped: lack(group, workload) }));
  const results: Result[] = [];
  const targets: Target[] = [];
  try {
    if (possible.some(({ skipped }) => skipped === undefined)) {
      const { contestants } = run;
      const usual = group.account ? contestants.slice(0, 1) : contestants;
      const measured = group.store ? onStore(contestants[0], group.store.kind, group.store) : usual;
      for (const contestant of measured) targets.push(await startTarget(group, contestant, targets.length, run));
    }
    for (const { workload, skipped } of possible) {
      const result =
        skipped === undefined ? await runWorkload(workload, targets, run) : { workload, sides: [], skipped };
      run.progress.note(line(result));
      results.push(result);
    }
  } catch (error) {
    results.push(
      ...possible.slice(results.length).map(({ workload }) => ({ workload, sides: [], failure: text(error) })),
    );
  } finally {
    for (const { server } of targets) await server.stop();
    for (const { folder } of targets) await rm(folder, { recursive: true, force: true });
  }
  return results;
}

async function startTarget(group: Group, contestant: Contestant, index: number, run: GroupRun): Promise<Target> {
  const { load, background } = run;
  const folder = join(run.folder, `${group.name}-${index}`);
  await mkdir(folder, { recursive: true });
  run.progress.show(`${group.name}: starting ${contestant.name}`);
  const started = group.front ? behindNginx(contestant, { offload: group.front === "offload" }) : contestant;
  const server = await started.start(join(folder, "server"), group.account && { account: group.account });
  return { contestant, server, load, background, folder };
}

async function runWorkload(workload: Workload, targets: readonly Target[], run: GroupRun): Promise<Result> {
  const able = targets.filter(({ contestant }) => workload.protocol !== "v1" || contestant.speaksV1);
  const samples = new Map<Target, Measured[]>(able.map((target) => [target, []]));
  const say = (what: string, { contestant }: Target): void => {
    run.progress.show(`${workload.name}: ${what}, ${contestant.name}`);
  };
  try {
    for (const target of able) {
      say("preparing", target);
      await naming(target, () => workload.prepare?.(target));
    }
    for (let round = 0; round < run.rounds; round++) {
      // Whoever comes second may profit from the first, or suffer.
      for (const target of round % 2 === 0 ? able : able.toReversed()) {
        say(`round ${round + 1} of ${run.rounds}`, target);
        const measured = await naming(target, () => measure(workload, target, run.scale));
        if (measured.others > tolerated) run.progress.note(warning(workload, target, measured));
        samples.get(target)?.push(measured);
      }
    }
    for (const target of able) {
      say("verifying", target);
      await naming(target, () => workload.verify?.(target));
    }
    const sides = [...samples].map(([{ contestant }, measured]) => summary(contestant.name, measured));
    return { workload, sides };
  } catch (error) {
    return { workload, sides: [], failure: text(error) };
  }
}

/** A failure says whose it is. */
async function naming<T>({ contestant }: Target, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new Error(`${contestant.name}: ${text(cause)}`, { cause });
  }
}

function warning({ name }: Workload, { contestant }: Target, { others }: Measured): string {
  return `  warning: others kept ${figure(others)} cores busy during ${name} of ${contestant.name}`;
}

function line(result: Result): string {
  const { workload, sides, failure, skipped } = result;
  if (failure !== undefined) return `${workload.name}: FAILED: ${failure}`;
  if (skipped !== undefined) return `${workload.name}: skipped: ${skipped}`;
  const of = ratio(result, ({ value }) => value);
  const values = sides.map(({ value }) => figure(value)).join(" : ");
  return `${workload.name}: ${values} ${workload.unit}${of === undefined ? "" : `, ratio ${figure(of)}`}`;
}

/** Why a workload can't be run here. */
function lack({ store }: Group, { program }: Workload): string | undefined {
  const missing = store ? store.kind.missing() : missingPrograms(program === undefined ? [] : [program]);
  return missing.length === 0 ? undefined : `${missing.join(", ")} not installed`;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
