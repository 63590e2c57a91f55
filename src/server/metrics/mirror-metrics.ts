import prometheus, { type Registry } from "prom-client";
import type { FailureKind } from "../mirror/failure.ts";
import type { MirrorMeter } from "../mirror/meter.ts";
import type { Allowance } from "../mirror/pace.ts";

/** What mirrors do, counted. Of several workers the one counts that last heard the least of a rate limit. */
export class MirrorMetrics implements MirrorMeter {
  readonly #requests: prometheus.Counter<"upstream" | "to" | "status">;
  readonly #limit: prometheus.Gauge<"upstream">;
  readonly #remaining: prometheus.Gauge<"upstream">;
  readonly #reset: prometheus.Gauge<"upstream">;
  readonly #stale: prometheus.Counter<"upstream">;
  readonly #fetched: prometheus.Counter<"upstream">;
  readonly #shared: prometheus.Counter;
  readonly #evicted: prometheus.Counter;
  readonly #evictedBytes: prometheus.Counter;

  constructor(registry: Registry) {
    const counter = <T extends string>(name: string, help: string, ...labelNames: T[]): prometheus.Counter<T> =>
      new prometheus.Counter<T>({ name: `registryctl_mirror_${name}`, help, labelNames, registers: [registry] });
    const gauge = (name: string, help: string, aggregator: "min" | "max"): prometheus.Gauge<"upstream"> =>
      new prometheus.Gauge({ name: `registryctl_mirror_${name}`, help, labelNames: ["upstream"], aggregator, registers: [registry] }); // prettier-ignore
    this.#requests = counter(
      "upstream_requests_total",
      "Requests on behalf of an upstream, to the registry itself or elsewhere (tokens, redirects), by class of status or kind of failure",
      "upstream",
      "to",
      "status",
    );
    this.#limit = gauge("rate_limit", "How many requests the upstream allows in its window", "max");
    this.#remaining = gauge("rate_limit_remaining", "How many of them it still allows", "min");
    this.#reset = gauge(
      "rate_limit_reset_timestamp_seconds",
      "When it allows more again, as it said; while it wants to be left alone, until when",
      "max",
    );
    this.#stale = counter("stale_answers_total", "Answers with what an upstream had last, when it failed", "upstream");
    this.#fetched = counter("fetched_bytes_total", "Bytes of blobs that came from the upstream", "upstream");
    this.#shared = counter("shared_fetches_total", "Times that a blob on its way was given to one more client");
    this.#evicted = counter("evicted_total", "Blobs and manifests that were removed, unasked for or for lack of room");
    this.#evictedBytes = counter("evicted_bytes_total", "How large they were");
  }

  asked(upstream: string, to: "registry" | "elsewhere", outcome: number | FailureKind): void {
    const status = typeof outcome === "number" ? `${Math.floor(outcome / 100)}xx` : outcome;
    this.#requests.inc({ upstream, to, status: outcome === 429 ? "429" : status });
  }

  allowed(upstream: string, { limit, remaining, reset }: Allowance): void {
    this.#limit.set({ upstream }, limit);
    this.#remaining.set({ upstream }, remaining);
    if (reset !== undefined) this.paused(upstream, reset);
  }

  paused(upstream: string, until: number): void {
    this.#reset.set({ upstream }, Math.round(until / 1000));
  }

  stale(upstream: string): void {
    this.#stale.inc({ upstream });
  }

  fetched(upstream: string, bytes: number): void {
    this.#fetched.inc({ upstream }, bytes);
  }

  shared(): void {
    this.#shared.inc();
  }

  evicted(count: number, bytes: number): void {
    this.#evicted.inc(count);
    this.#evictedBytes.inc(bytes);
  }
}
