import { ratio, type Result, type Side } from "./results.ts";

/** What registryctl is to reach in a workload. */
export interface Target {
  readonly workload: string;
  /** A ratio to the peer, or registryctl's own figure. */
  readonly of: "ratio" | "cpu ratio" | "moved ratio" | "value" | "peak MB" | "rate over" | "p99 ms" | "kept rate";
  readonly atLeast?: number;
  readonly atMost?: number;
  /** For "rate over": the workload that it is compared with. */
  readonly other?: string;
}

/** Two medians of the same thing differ by this much by chance: what is "no slower" may be slower by it. */
const noise = 0.1;

/**
 * Ratios to Debian's docker-registry 2.8.2 with its in-memory cache, one worker, everything durable; on object stores to
 * the store's client alone. Small blobs have none there: each is two objects for registryctl, and one for the client. Nor has
 * GCS beside curl, as the client that sends parts too is the peer.
 */
export const targets: readonly Target[] = [
  ...["manifest-get-tag", "manifest-get-digest", "manifest-head", "blob-head"].map((workload) => faster(workload, 10)),
  ...["blob-get", "blob-get-8"].flatMap((workload) => [faster(workload, 1.5), cheaper(workload, 0.75)]),
  ...["blob-push-monolithic", "blob-push-streamed", "blob-push-chunked"].flatMap((workload) => [
    faster(workload, 1.7),
    cheaper(workload, 0.7),
  ]),
  faster("small-blobs", 4),
  faster("small-manifests", 5),
  faster("tags-10000", 10),
  { workload: "tags-10000", of: "rate over", other: "tags-1000", atLeast: 1 - noise },
  faster("catalog-5000", 50),
  { workload: "catalog-5000", of: "rate over", other: "catalog-1000", atLeast: 1 - noise },
  faster("mixed", 2),
  { workload: "mixed", of: "moved ratio", atLeast: 0.9 },
  ...["s3", "gcs", "swift", "glance"].flatMap((store) =>
    ["get", "push", "push-streamed"].map((what) => faster(`${store}-${what}`, 0.8)),
  ),
  faster("swift-get-streamed", 0.8),
  faster("s3-get-redirect", 0.8),
  { workload: "skopeo-in", of: "ratio", atMost: 0.85 },
  // One password hashed on the event loop would hold up everybody for 250 ms; hashing beside it takes part of a processor.
  { workload: "wrong-logins", of: "p99 ms", atMost: 50 },
  { workload: "wrong-logins", of: "kept rate", atLeast: 0.7 },
  { workload: "cold-start", of: "value", atMost: 400 },
  { workload: "idle-memory", of: "value", atMost: 90 },
  { workload: "*", of: "peak MB", atMost: 160 },
];

/** A target with what was measured; `met` is undefined when nothing was. */
export interface Verdict {
  readonly target: Target;
  readonly figure: number | undefined;
  readonly met: boolean | undefined;
}

/** Holds results against targets. */
export function judge(results: readonly Result[], wanted: readonly Target[] = targets): readonly Verdict[] {
  return wanted.map((target) => {
    const figure = measured(target, results);
    if (figure === undefined) return { target, figure, met: undefined };
    return { target, figure, met: figure >= (target.atLeast ?? -Infinity) && figure <= (target.atMost ?? Infinity) };
  });
}

/** A target in words. */
export function words({ of, other, atLeast, atMost }: Target): string {
  const what = of === "rate over" ? `rate over ${other ?? ""}` : of;
  return atLeast === undefined ? `${what} ≤ ${atMost ?? ""}` : `${what} ≥ ${atLeast}`;
}

function measured({ workload, of, other }: Target, results: readonly Result[]): number | undefined {
  const result = results.find((candidate) => candidate.workload.name === workload);
  if (of === "peak MB") {
    const peaks = results.flatMap(({ sides }) => sides[0]?.peakBytes ?? []).filter((bytes) => !Number.isNaN(bytes));
    return peaks.length > 0 ? Math.max(...peaks) / 1e6 : undefined;
  }
  if (!result) return undefined;
  switch (of) {
    case "ratio":
      return ratio(result, ({ value }) => value);
    case "cpu ratio":
      return ratio(result, ({ cpu }) => cpu);
    case "moved ratio":
      return ratio(result, ({ beside }) => beside["moved MB/s"]);
    case "p99 ms":
      return result.sides[0]?.p99;
    case "kept rate":
      return result.sides[0]?.beside["kept rate"];
    case "value":
      return result.sides[0]?.value;
    case "rate over": {
      const value = (side?: Side): number => side?.value ?? Number.NaN;
      const rate = value(result.sides[0]) / value(results.find((r) => r.workload.name === other)?.sides[0]);
      return Number.isNaN(rate) ? undefined : rate;
    }
  }
}

function faster(workload: string, atLeast: number): Target {
  return { workload, of: "ratio", atLeast };
}

function cheaper(workload: string, atMost: number): Target {
  return { workload, of: "cpu ratio", atMost };
}
