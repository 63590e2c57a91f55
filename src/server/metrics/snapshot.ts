import type { Registry } from "prom-client";

/** A metric as prom-client writes it as JSON. */
export interface Snapshot {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Partial<Record<string, string | number>>>;
    readonly metricName?: string;
  }[];
}

/** All that the registry has counted. Its types are words, which prom-client declares as an enumeration of numbers. */
export async function snapshotsOf(registry: Registry): Promise<readonly Snapshot[]> {
  const metrics = await registry.getMetricsAsJSON();
  return metrics.map(({ type, ...metric }) => ({ ...metric, type: String(type) }));
}
