import { open, readFile, unlink } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";

/** What a table of figures is worth nothing without. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory: number;
  readonly kernel: string;
  readonly node: string;
}

/** The machine that this runs on. */
export function machine(): Machine {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? "unknown",
    cores: cpus().length,
    memory: totalmem(),
    kernel: release(),
    node: process.version,
  };
}

/** CPU seconds that all processes of the machine, and the host that it is a guest of, have used so far. */
export async function busySeconds(): Promise<number> {
  const [line = ""] = (await readFile("/proc/stat", "utf8")).split("\n");
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / 100;
}

/** Waits until less than a tenth of the CPU is in use, at most `seconds`. */
export async function settle(seconds: number): Promise<void> {
  const window = 0.1;
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    const before = await busySeconds();
    await new Promise((resolve) => setTimeout(resolve, window * 1000));
    if ((await busySeconds()) - before <= 0.1 * window * cpus().length) return;
  }
}

/**
 * Writes and removes a file of `bytes` in `folder`. A guest pays for the first write to a page of memory that its host had
 * taken back; whoever is measured next should not.
 */
export async function warmMemory(folder: string, bytes: number): Promise<void> {
  const path = join(folder, "warm");
  const chunk = Buffer.alloc(4 * 1024 * 1024, 1);
  const file = await open(path, "w");
  try {
    for (let written = 0; written < bytes; written += chunk.length) await file.write(chunk);
  } finally {
    await file.close();
    await unlink(path);
  }
}
