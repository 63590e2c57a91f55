import { tolerated, type Measured } from "./measure.ts";
import { median } from "./statistics.ts";
import type { Workload } from "./workloads/workload.ts";

/** What the samples of one contestant come to: medians, except for the peak. */
export interface Side {
  readonly contestant: string;
  readonly value: number;
  readonly samples: readonly number[];
  /** CPU seconds of the server per unit of work. */
  readonly cpu: number;
  /** The most memory that the server had in any sample, in bytes. */
  readonly peakBytes: number;
  readonly p99?: number;
  readonly beside: Readonly<Record<string, number>>;
  /** Cores that our client kept busy; near the number of cores it is the client that was measured. */
  readonly client?: number;
  /** How many samples others disturbed, though they were repeated. */
  readonly disturbed: number;
}

/** What a workload came to. */
export interface Result {
  readonly workload: Workload;
  /** By the contestant's place: registryctl first, then the peer, which may not speak the protocol. */
  readonly sides: readonly Side[];
  readonly failure?: string;
  readonly skipped?: string;
}

/** Sums up a contestant's samples. */
export function summary(contestant: string, samples: readonly Measured[]): Side {
  const values = samples.map(({ sample }) => sample.value);
  const p99 = samples.flatMap(({ sample }) => sample.p99 ?? []);
  const client = samples.flatMap(({ sample: { client } }) => (client ? client.cpuSeconds / client.seconds : []));
  const names = new Set(samples.flatMap(({ sample }) => Object.keys(sample.beside ?? {})));
  return {
    contestant,
    value: median(values),
    samples: values,
    cpu: median(samples.map(({ sample, cpuSeconds }) => cpuSeconds / sample.work)),
    peakBytes: Math.max(...samples.map(({ peakBytes }) => peakBytes)),
    ...(p99.length > 0 && { p99: median(p99) }),
    ...(client.length > 0 && { client: median(client) }),
    beside: Object.fromEntries(
      [...names].map((name) => [name, median(samples.flatMap(({ sample }) => sample.beside?.[name] ?? []))]),
    ),
    disturbed: samples.filter(({ others }) => others > tolerated).length,
  };
}

/** What registryctl reached as a multiple of what the peer did; undefined without a peer. */
export function ratio({ sides: [ours, peer] }: Result, of: (side: Side) => number | undefined): number | undefined {
  const [a, b] = [ours && of(ours), peer && of(peer)];
  return a === undefined || b === undefined || Number.isNaN(a / b) ? undefined : a / b;
}
