import prometheus from "prom-client";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { DriverError } from "../../drivers/storage/errors.ts";
import { measured } from "../../drivers/storage/measured.ts";
import { RequestTally } from "./request-tally.ts";
import { snapshotsOf, type Snapshot } from "./snapshot.ts";
import { MirrorMetrics } from "./mirror-metrics.ts";

/** Where objects of the store are remembered: in the process's own memory, or in Redis. */
export type CacheName = "memory" | "redis";

/** In seconds. */
const buckets = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60];

/**
 * What a process counts. Labels never hold what clients choose, such as names of repositories: there would be no end of
 * them, and who may look at numbers need not know what is in the registry.
 */
export class Metrics {
  readonly requests = new RequestTally();
  readonly mirror: MirrorMetrics;
  readonly #registry = new prometheus.Registry();
  readonly #operations: prometheus.Histogram<"driver" | "operation" | "result">;
  readonly #bytes: prometheus.Counter<"driver" | "operation">;
  readonly #lookups: prometheus.Counter<"cache" | "result">;
  #answers = 0;

  constructor(version: string) {
    const registers = [this.#registry];
    prometheus.collectDefaultMetrics({ register: this.#registry });
    new prometheus.Gauge({
      name: "registryctl_build_info",
      help: "The version of this program; always 1",
      labelNames: ["version"],
      aggregator: "max",
      registers,
    }).set({ version }, 1);
    this.#operations = new prometheus.Histogram({
      name: "registryctl_storage_operation_duration_seconds",
      help: "Operations that the storage was asked for, each attempt, and how long it took over them",
      labelNames: ["driver", "operation", "result"],
      buckets,
      registers,
    });
    this.#bytes = new prometheus.Counter({
      name: "registryctl_storage_bytes_total",
      help: "Content read from the storage and written to it",
      labelNames: ["driver", "operation"],
      registers,
    });
    this.#lookups = new prometheus.Counter({
      name: "registryctl_cache_lookups_total",
      help: "What was looked up in a cache, found (hit) or not (miss)",
      labelNames: ["cache", "result"],
      registers,
    });
    const hot = new prometheus.Counter({
      name: "registryctl_http_repeated_answers_total",
      help: "Requests that were answered from memory as they were before",
      registers,
      collect: () => {
        hot.reset();
        hot.inc(this.#answers);
      },
    });
    this.mirror = new MirrorMetrics(this.#registry);
  }

  /** The same storage, whose operations are counted. */
  storage(driver: StorageDriver): StorageDriver {
    return measured(driver, (operation, { milliseconds, bytes, error }) => {
      const result = error === undefined ? "ok" : error instanceof DriverError ? error.code.toLowerCase() : "failed";
      this.#operations.observe({ driver: driver.name, operation, result }, milliseconds / 1000);
      if (bytes > 0) this.#bytes.inc({ driver: driver.name, operation }, bytes);
    });
  }

  /** A request was answered as it was before, without a look at anything. */
  answered(): void {
    this.#answers += 1;
  }

  /** Something was looked up in a cache. */
  lookedUp(cache: CacheName, isHit: boolean): void {
    this.#lookups.inc({ cache, result: isHit ? "hit" : "miss" });
  }

  /** All that has been counted so far. */
  async snapshot(): Promise<readonly Snapshot[]> {
    return [...(await snapshotsOf(this.#registry)), ...this.requests.snapshots()];
  }
}
