import { ellipticsSchema, type EllipticsSettings } from "../../../src/drivers/storage/elliptics/options.ts";
import type { EllipticsCluster } from "./index.ts";

/** The options of a flavor that keeps its images in a cluster. */
export function ellipticsOptions({ addresses, groups }: Pick<EllipticsCluster, "addresses" | "groups">) {
  return { elliptics_nodes: addresses.join(" "), elliptics_groups: groups.map(String) } as const;
}

/** What the driver is opened with for a cluster, but for what is said otherwise. */
export function ellipticsSettings(
  cluster: Pick<EllipticsCluster, "addresses" | "groups">,
  more: Readonly<Record<string, unknown>> = {},
): EllipticsSettings {
  return ellipticsSchema.parse({ ...ellipticsOptions(cluster), elliptics_logfile: "/dev/null", ...more });
}

/** What tests open the driver with, so that they wait for little, but for answers as long as a busy machine needs. */
export const quickTuning = { patience: 10_000, pauses: { shortest: 10, longest: 100 }, cleansUp: false } as const;
