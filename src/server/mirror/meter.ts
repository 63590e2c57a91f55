import type { FailureKind } from "./failure.ts";
import type { Allowance } from "./pace.ts";

/** Hears what a mirror does. Nothing of it must throw. Upstreams are named by their hosts. */
export interface MirrorMeter {
  /** On behalf of an upstream it was asked itself, or a place that it sends us to: the status of the answer, or why none came. */
  asked(upstream: string, to: "registry" | "elsewhere", outcome: number | FailureKind): void;
  /** What an upstream said that it still allows. */
  allowed(upstream: string, allowance: Allowance): void;
  /** An upstream wants to be left alone until then, in milliseconds since 1970. */
  paused(upstream: string, until: number): void;
  /** Something was served as it last was, because the upstream did not tell what it is now. */
  stale(upstream: string): void;
  /** So many bytes of a blob have come. */
  fetched(upstream: string, bytes: number): void;
  /** Somebody was given a blob that was on its way for somebody else already. */
  shared(): void;
  /** So much was removed because nobody asked for it, or for lack of room. */
  evicted(count: number, bytes: number): void;
}

/** Nobody counts. */
export const unmetered: MirrorMeter = {
  asked: nothing,
  allowed: nothing,
  paused: nothing,
  stale: nothing,
  fetched: nothing,
  shared: nothing,
  evicted: nothing,
};

function nothing(): void {
  // Nobody counts.
}
