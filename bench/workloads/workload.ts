import type { Account, Contestant, Server } from "../contestants/contestant.ts";
import type { Load } from "../load/load.ts";
import type { Store } from "../stores/store.ts";

/** A running contestant with what puts load on it. */
export interface Target {
  readonly contestant: Contestant;
  readonly server: Server;
  readonly load: Load;
  /** A second load process, for what goes on beside what is measured. */
  readonly background: Load;
  /** A folder of this target's own, for clients' files. */
  readonly folder: string;
}

/** One measurement. */
export interface Sample {
  /** In the workload's unit. */
  readonly value: number;
  /** How much was done, in the workload's unit of work: what CPU seconds are divided by. */
  readonly work: number;
  /** CPU seconds and wall seconds of our own client, where it is ours. */
  readonly client?: { readonly cpuSeconds: number; readonly seconds: number };
  /** Milliseconds within which 99 of 100 requests were answered. */
  readonly p99?: number;
  /** Further figures, by name. */
  readonly beside?: Readonly<Record<string, number>>;
  /** What the server used, when it is another one than the target's. */
  readonly server?: { readonly cpuSeconds: number; readonly peakBytes: number };
}

/** Something that clients do with a registry, and how well it is done. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly unit: "requests/s" | "MB/s" | "blobs/s" | "manifests/s" | "s" | "ms" | "MB";
  readonly better: "more" | "less";
  /** What CPU is told per: a thousand requests, a gigabyte, one of what is done. */
  readonly per: "1000 requests" | "GB" | "1000" | "1";
  readonly protocol?: "v1";
  /** A program that it needs. */
  readonly program?: string;
  /** Brings the target into the state that samples need; once, before the first sample. */
  prepare?(target: Target): Promise<void>;
  /** What each sample needs and is not to measure; before the machine is waited for. */
  before?(target: Target): Promise<void>;
  sample(target: Target): Promise<Sample>;
  /** Rejects when what the samples left is wrong; once, after the last sample. */
  verify?(target: Target): Promise<void>;
}

/** Workloads that share one store of each contestant, in this order. */
export interface Group {
  readonly name: string;
  readonly front?: "proxy" | "offload";
  /** registryctl on an object store, beside a client that uses the same server by itself. Measured only when it is named. */
  readonly store?: { readonly kind: Store; readonly redirect: boolean };
  /** Clients have to log in. Only registryctl is measured: others have nothing that is like it. */
  readonly account?: Account;
  readonly workloads: readonly Workload[];
}
