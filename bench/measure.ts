import { busySeconds, settle, warmMemory } from "./machine.ts";
import { cpuSeconds, forgetPeak, memoryBytes } from "./process-tree.ts";
import type { Scale } from "./scale.ts";
import type { Sample, Target, Workload } from "./workloads/workload.ts";

/** A sample with what the server and others used meanwhile. */
export interface Measured {
  readonly sample: Sample;
  /** Of the server's processes; NaN of one that runs elsewhere. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  /** Cores that processes which are not ours kept busy. */
  readonly others: number;
}

/** A sample is disturbed when others used more than this part of a core; writeback of the kernel's own is below it. */
export const tolerated = 0.25;

/** Seconds to wait for a quiet machine before a sample. */
const quiet = 5;

/** Takes a sample; one that others disturbed is taken once more, and the quieter of both counts. */
export async function measure(workload: Workload, target: Target, scale: Scale): Promise<Measured> {
  const first = await measureOnce(workload, target, scale);
  if (first.others <= tolerated || !scale.isCareful) return first;
  const second = await measureOnce(workload, target, scale);
  return second.others < first.others ? second : first;
}

async function measureOnce(workload: Workload, target: Target, scale: Scale): Promise<Measured> {
  const { pids } = target.server;
  await workload.before?.(target);
  if (scale.isCareful) await settle(quiet);
  // Last, as the host takes free memory back after two seconds.
  if (scale.warmth > 0) await warmMemory(target.folder, scale.warmth);
  forgetPeak(pids);
  const before = { start: performance.now(), server: cpuSeconds(pids), own: ownSeconds(), busy: await busySeconds() };
  const sample = await workload.sample(target);
  const busy = (await busySeconds()) - before.busy;
  const own = ownSeconds() - before.own;
  const elapsed = (performance.now() - before.start) / 1000;
  const known = pids.length > 0;
  return {
    sample,
    cpuSeconds: sample.server?.cpuSeconds ?? (known ? cpuSeconds(pids) - before.server : Number.NaN),
    peakBytes: sample.server?.peakBytes ?? (known ? memoryBytes(pids, "peak") : Number.NaN),
    others: Math.max(0, busy - own) / elapsed,
  };
}

/** CPU seconds of everything that was started from here. */
function ownSeconds(): number {
  return cpuSeconds([process.pid]);
}
