import type { IncomingMessage, ServerResponse } from "node:http";
import prometheus from "prom-client";
import { listen, type ListenOptions, type RunningServer } from "../server.ts";
import { snapshotsOf, type Snapshot } from "./snapshot.ts";

/** Where metrics are to be seen. */
export type ExpositionOptions = Pick<ListenOptions, "host" | "port" | "onError">;

const path = "/metrics";

/**
 * Shows what processes have counted, added up, at an address of its own: whoever reaches that may see it, and nobody who
 * reaches the registry. Rejects with `ListenError`.
 */
export async function exposeMetrics(
  options: ExpositionOptions,
  snapshots: () => Promise<readonly (readonly Snapshot[])[]>,
): Promise<RunningServer> {
  const server = await listen(
    (request, response) => {
      answer(request, response, snapshots).catch((error: unknown) => {
        options.onError?.("Metrics could not be shown", error);
        response.writeHead(500, { "Content-Length": 0 }).end();
      });
    },
    { ...options, optionsAre: { host: "metrics.host", port: "metrics.port or REGISTRY_METRICS_PORT" } },
  );
  return { ...server, url: `${server.url}${path}` };
}

async function answer(
  { url = "", method }: IncomingMessage,
  response: ServerResponse,
  snapshots: () => Promise<readonly (readonly Snapshot[])[]>,
): Promise<void> {
  if (url.split("?", 1)[0] !== path || (method !== "GET" && method !== "HEAD")) {
    response.writeHead(404, { "Content-Length": 0 }).end();
    return;
  }
  const text = Buffer.from(await textOf(await snapshots()));
  response.writeHead(200, {
    "Content-Type": prometheus.prometheusContentType,
    "Content-Length": text.length,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(method === "HEAD" ? undefined : text);
}

async function textOf(snapshots: readonly (readonly Snapshot[])[]): Promise<string> {
  return await prometheus.AggregatorRegistry.aggregate([...snapshots]).metrics();
}

/** What some processes counted together, of what only grows: what is now goes with the process. */
export async function totalOf(snapshots: readonly (readonly Snapshot[])[]): Promise<readonly Snapshot[]> {
  const counters = snapshots.map((snapshot) =>
    snapshot.filter(({ type }) => type === "counter" || type === "histogram"),
  );
  return await snapshotsOf(prometheus.AggregatorRegistry.aggregate(counters));
}
