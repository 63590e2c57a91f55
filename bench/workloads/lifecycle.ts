import { rm } from "node:fs/promises";
import { join } from "node:path";
import { cpuSeconds, memoryBytes } from "../process-tree.ts";
import type { Group } from "./workload.ts";

/** What a registry costs before anybody uses it. */
export function lifecycle(): Group {
  let starts = 0;
  return {
    name: "lifecycle",
    workloads: [
      {
        name: "idle-memory",
        title: "memory of an idle server",
        unit: "MB",
        better: "less",
        per: "1",
        sample({ server: { pids } }) {
          return Promise.resolve({ value: pids.length > 0 ? memoryBytes(pids, "now") / 1e6 : Number.NaN, work: 1 });
        },
      },
      {
        name: "cold-start",
        title: "start to first answer, empty store",
        unit: "ms",
        better: "less",
        per: "1",
        async sample({ contestant, folder }) {
          const fresh = join(folder, `start-${++starts}`);
          const server = await contestant.start(fresh);
          try {
            const used = { cpuSeconds: cpuSeconds(server.pids), peakBytes: memoryBytes(server.pids, "peak") };
            return { value: server.readyAfter, work: 1, ...(server.pids.length > 0 && { server: used }) };
          } finally {
            await server.stop();
            await rm(fresh, { recursive: true, force: true });
          }
        },
      },
    ],
  };
}
