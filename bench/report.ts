import type { Machine } from "./machine.ts";
import { ratio, type Result, type Side } from "./results.ts";
import { figure, table } from "./table.ts";
import { words, type Verdict } from "./targets.ts";

/** All that a run came to. */
export interface Report {
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  /** registryctl and the peer that was chosen; some workloads have another, which their sides name. */
  readonly contestants: readonly string[];
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly seconds: number;
  readonly results: readonly Result[];
  readonly verdicts: readonly Verdict[];
}

/** The report for people: Markdown, ready for a page. */
export function asText(report: Report): string {
  const pairs = pairsOf(report);
  return [
    ...heading(report),
    ...pairs.map(figures),
    ...pairs.flatMap(besides),
    ...notes(report),
    judgement(report),
  ].join("\n");
}

/** The report for programs. */
export function asJson({ results, verdicts, ...facts }: Report): string {
  const workloads = results.map(({ workload: { name, title, unit, better, per }, sides, failure, skipped }) => ({
    name,
    title,
    unit,
    better,
    cpuPer: per,
    ...Object.fromEntries(sides.map((side, index) => [index === 0 ? "registryctl" : "peer", side])),
    ...(failure !== undefined && { failure }),
    ...(skipped !== undefined && { skipped }),
  }));
  const targets = verdicts.map(({ target, figure: measured, met }) => ({ ...target, figure: measured, met }));
  return `${JSON.stringify({ ...facts, workloads, targets }, undefined, 2)}\n`;
}

function heading({ date, command, machine, rounds, isQuick, seconds }: Report): readonly string[] {
  const { cpu, cores, memory, kernel, node } = machine;
  return [
    `${date}, ${rounds} ${rounds === 1 ? "round" : "rounds"}, ${Math.round(seconds)} s: \`${command}\``,
    `${cores} × ${cpu}, ${Math.round(memory / 2 ** 30)} GiB, Linux ${kernel}, Node ${node}`,
    ...(isQuick ? ["Quick: sizes are so small that the figures say nothing about speed."] : []),
    "",
  ];
}

/** Results of the same two contestants: they share a table, whose headings name them. */
interface Pair {
  readonly ours: string;
  readonly peer: string;
  readonly results: readonly Result[];
}

function pairsOf({ contestants: [ours = "", usual = "–"], results }: Report): readonly Pair[] {
  const byPeer = new Map<string, Result[]>();
  for (const result of results) {
    // The peer that doesn't speak V1 has no side of its workloads.
    const peer = result.sides[1]?.contestant ?? usual;
    if (result.sides.length > 0) byPeer.set(peer, [...(byPeer.get(peer) ?? []), result]);
  }
  return [...byPeer].map(([peer, ofPeer]) => ({ ours, peer, results: ofPeer }));
}

function figures({ ours, peer, results }: Pair): string {
  const columns = [
    { heading: "workload", align: "left" },
    { heading: "unit", align: "left" },
    ...[ours, peer, "ratio", "CPU s per", `CPU ${ours}`, `CPU ${peer}`, "ratio", "peak MB"].map(
      (text) => ({ heading: text, align: "right" }) as const,
    ),
    { heading: "peak MB peer", align: "right" },
  ] as const;
  const rows = results.flatMap((result) => {
    const { workload, sides } = result;
    const [a, b] = sides;
    if (!a) return [];
    return [
      [
        workload.title,
        workload.unit,
        ...[a.value, b?.value, ratio(result, ({ value }) => value)].map(optional),
        workload.per,
        ...[a.cpu, b?.cpu, ratio(result, ({ cpu }) => cpu), a.peakBytes / 1e6, (b?.peakBytes ?? NaN) / 1e6].map(
          optional,
        ),
      ],
    ];
  });
  return table(columns, rows);
}

/** Figures that not every workload has. */
function besides({ ours, peer, results }: Pair): readonly string[] {
  const rows = results.flatMap((result) => {
    const [a, b] = result.sides;
    const row = (what: string, of: (side: Side) => number | undefined): readonly string[][] =>
      a && of(a) !== undefined
        ? [[result.workload.name, what, optional(of(a)), optional(b && of(b)), optional(ratio(result, of))]]
        : [];
    return [
      ...row("p99 ms", ({ p99 }) => p99),
      ...Object.keys(a?.beside ?? {}).flatMap((name) => row(name, ({ beside }) => beside[name])),
      ...row("client's CPU, cores", ({ client }) => client),
    ];
  });
  if (rows.length === 0) return [];
  const columns = ["workload", "figure", ours, peer, "ratio"].map(
    (text, index) => ({ heading: text, align: index < 2 ? "left" : "right" }) as const,
  );
  return [table(columns, rows)];
}

function notes({ results }: Report): readonly string[] {
  const lines = results.flatMap(({ workload: { name }, sides, failure, skipped }) => [
    ...(failure === undefined ? [] : [`FAILED ${name}: ${failure}`]),
    ...(skipped === undefined ? [] : [`skipped ${name}: ${skipped}`]),
    ...sides.flatMap(({ contestant, disturbed, samples }) =>
      disturbed > 0 ? [`${name}: others disturbed ${disturbed} of ${samples.length} samples of ${contestant}`] : [],
    ),
  ]);
  return lines.length > 0 ? [...lines, ""] : [];
}

function judgement({ verdicts }: Report): string {
  const rows = verdicts
    .filter(({ figure: measured }) => measured !== undefined)
    .map(({ target, figure: measured, met }) => [
      target.workload === "*" ? "all" : target.workload,
      words(target),
      optional(measured),
      met ? "met" : "MISSED",
    ]);
  const columns = ["target of", "wanted", "measured", ""].map(
    (heading, index) => ({ heading, align: index === 2 ? "right" : "left" }) as const,
  );
  return rows.length > 0 ? table(columns, rows) : "";
}

function optional(value: number | undefined): string {
  return value === undefined ? "–" : figure(value);
}
