import type { Settings } from "./config/schema.ts";
import type { Metrics } from "./metrics/metrics.ts";
import type { Mirror, MirrorParts } from "./mirror/mirror.ts";

/*
 * What is loaded only where the configuration wants it: it takes time and memory.
 */

/** What other registries have, served as if it were here; undefined where nothing is mirrored. */
export async function openMirroring(
  { mirroring: settings }: Settings,
  environment: Pick<MirrorParts, "folder" | "turns" | "isFirst" | "log" | "peers">,
  parts: Pick<MirrorParts, "registry" | "driver" | "meter">,
): Promise<Mirror | undefined> {
  if (!settings) return undefined;
  const { openMirror } = await import("./mirror/mirror.ts");
  const { folder, turns, isFirst, log, peers } = environment;
  return await openMirror({ ...parts, settings, folder, turns, isFirst, log, peers });
}

/** What is counted; undefined where nothing is. */
export async function openMetrics({ metrics }: Settings, version: string): Promise<Metrics | undefined> {
  if (!metrics) return undefined;
  const { Metrics } = await import("./metrics/metrics.ts");
  return new Metrics(version);
}
