import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { figure, table } from "./table.ts";

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Functions that are told of a profile. */
const most = 25;

/** What the process did itself, function by function: one table for every profile (`--cpu-prof`) in a folder. */
export async function profileTables(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".cpuprofile")).sort();
  const tables = await Promise.all(
    names.map(async (name) => `${name}\n\n${profileTable(parse(await readFile(join(folder, name), "utf8")))}`),
  );
  return tables.join("\n");
}

function profileTable({ nodes, samples, timeDeltas }: CpuProfile): string {
  const byId = new Map(nodes.map((node) => [node.id, label(node.callFrame)]));
  const times = new Map<string, number>();
  samples.forEach((id, index) => {
    const name = byId.get(id) ?? "";
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  });
  times.delete("(idle)");
  times.delete("(root)");
  const all = [...times.values()].reduce((sum, time) => sum + time, 0);
  const rows = [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, time]) => [name, figure(time / 1000), `${figure((time / all) * 100)} %`]);
  return table(
    [
      { heading: "function", align: "left" },
      { heading: "ms", align: "right" },
      { heading: "of busy time", align: "right" },
    ],
    rows,
  );
}

function label({ functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"]): string {
  const file = url.replace(/^.*\/(?=dist\/|node_modules\/)/, "");
  return `${functionName || "(anonymous)"}${file === "" ? "" : ` ${file}:${lineNumber + 1}`}`;
}

function parse(text: string): CpuProfile {
  return JSON.parse(text) as CpuProfile;
}
