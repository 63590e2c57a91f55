import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Clock ticks a second in /proc; Linux has the same on every machine that Node runs on. */
const ticks = 100;

/** CPU seconds that processes, what descends from them, and what of that has ended, have used so far. */
export function cpuSeconds(roots: readonly number[]): number {
  return treeOf(roots).reduce((sum, { times }) => sum + times, 0) / ticks;
}

/** Memory that processes and their descendants have in bytes: now, or at most at once each since `forgetPeak`. */
export function memoryBytes(roots: readonly number[], which: "now" | "peak"): number {
  const field = which === "now" ? /^VmRSS:\s+(\d+) kB$/m : /^VmHWM:\s+(\d+) kB$/m;
  return (
    treeOf(roots).reduce((sum, { pid }) => sum + Number(field.exec(read(`/proc/${pid}/status`))?.[1] ?? 0), 0) * 1024
  );
}

/** Lets the peak memory of the processes start anew. */
export function forgetPeak(roots: readonly number[]): void {
  for (const { pid } of treeOf(roots)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, "5");
    } catch {
      // It has ended, or belongs to another user: its peak is that of its whole life.
    }
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly times: number;
}

function treeOf(roots: readonly number[]): readonly Process[] {
  const all = processes();
  const tree = all.filter(({ pid }) => roots.includes(pid));
  for (const { pid } of tree) tree.push(...all.filter((child) => child.parent === pid && !tree.includes(child)));
  return tree;
}

function processes(): readonly Process[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((name) => parseStat(read(`/proc/${name}/stat`)));
}

/** Fields of /proc/PID/stat: those behind the name, which may contain anything. */
function parseStat(stat: string): readonly Process[] {
  const end = stat.lastIndexOf(")");
  if (end < 0) return [];
  const fields = stat
    .slice(end + 2)
    .split(" ")
    .map(Number);
  const [parent = 0] = fields.slice(1);
  const times = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
  return [{ pid: Number.parseInt(stat, 10), parent, times }];
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
