import type { IncomingMessage } from "node:http";
import type { RequestEnd } from "../http/request-log.ts";
import { routeOf, type Route } from "./route.ts";
import type { Snapshot } from "./snapshot.ts";

const histogramName = "registryctl_http_request_duration_seconds";
/** In seconds. */
const buckets = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600] as const;
const methods: readonly string[] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"];

interface Durations {
  readonly labels: Readonly<Record<"method" | "route" | "status", string>>;
  /** By bucket, those that are in no smaller one; the last is of what is longer than all. */
  readonly counts: number[];
  seconds: number;
}

/**
 * Counts requests and how long they take. Thousands of manifests are read in a second, and a histogram of prom-client's
 * takes as long as a thirtieth of such a request: this one adds, and writes down what prom-client would when it is asked.
 */
export class RequestTally {
  /** By route, method and class of status. */
  readonly #durations = new Map<Route, Map<string, Durations[]>>();
  #received = 0;
  #sent = 0;
  #inProgress = 0;
  #uploads = 0;

  /** As `RequestMeter`. */
  begin(request: IncomingMessage): (end: RequestEnd) => void {
    const uploads = isUpload(request) ? 1 : 0;
    this.#inProgress += 1;
    this.#uploads += uploads;
    return ({ status, received, sent, milliseconds }) => {
      this.#inProgress -= 1;
      this.#uploads -= uploads;
      this.#received += received;
      this.#sent += sent;
      this.#add(this.#of(request.method ?? "", routeOf(request.url ?? ""), status), milliseconds / 1000);
    };
  }

  /** What has been counted so far, as prom-client would have it. */
  snapshots(): readonly Snapshot[] {
    const single = (type: string, name: string, help: string, value: number): Snapshot =>
      ({ name, help, type, aggregator: "sum", values: [{ value, labels: {} }] }); // prettier-ignore
    return [
      {
        name: histogramName,
        help: "Requests by method, route and class of status (none: nothing was sent), and how long they took",
        type: "histogram",
        aggregator: "sum",
        values: [...this.#durations.values()].flatMap((ofRoute) => [...ofRoute.values()].flat()).flatMap(histogram),
      },
      single("gauge", "registryctl_http_requests_in_progress", "Requests that are being answered", this.#inProgress),
      single("gauge", "registryctl_uploads_in_progress", "Blobs and layers that are being received", this.#uploads),
      single("counter", "registryctl_http_received_bytes_total", "Bytes of requests' bodies", this.#received),
      single("counter", "registryctl_http_sent_bytes_total", "Bytes of answers, headers included", this.#sent),
    ];
  }

  #add(durations: Durations, seconds: number): void {
    let bucket = 0;
    while (bucket < buckets.length && seconds > (buckets[bucket] ?? 0)) bucket += 1;
    durations.counts[bucket] = (durations.counts[bucket] ?? 0) + 1;
    durations.seconds += seconds;
  }

  #of(method: string, route: Route, status: number | undefined): Durations {
    const statusClass = status === undefined ? 0 : Math.floor(status / 100);
    return this.#durations.get(route)?.get(method)?.[statusClass] ?? this.#begun(method, route, statusClass);
  }

  #begun(method: string, route: Route, statusClass: number): Durations {
    const known = methods.includes(method) ? method : "other";
    const ofRoute = this.#durations.get(route) ?? new Map<string, Durations[]>();
    const ofMethod = ofRoute.get(known) ?? [];
    this.#durations.set(route, ofRoute.set(known, ofMethod));
    const labels = { method: known, route, status: statusClass === 0 ? "none" : `${statusClass}xx` };
    return (ofMethod[statusClass] ??= { labels, counts: [...buckets, Infinity].map(() => 0), seconds: 0 });
  }
}

function histogram({ labels, counts, seconds }: Durations): Snapshot["values"] {
  let count = 0;
  const found = [...buckets, "+Inf"].map((le, index) => {
    count += counts[index] ?? 0;
    return { value: count, labels: { le, ...labels }, metricName: `${histogramName}_bucket` };
  });
  return [
    ...found,
    { value: seconds, labels, metricName: `${histogramName}_sum` },
    { value: count, labels, metricName: `${histogramName}_count` },
  ];
}

/** Whether the body of the request is content, or part of it. */
function isUpload({ method = "", url = "" }: IncomingMessage): boolean {
  if (method !== "PATCH" && method !== "PUT" && method !== "POST") return false;
  const route = routeOf(url);
  if (route === "/v1/images/{id}/layer") return method === "PUT";
  return route === "/v2/{name}/blobs/uploads/{id}" || (route === "/v2/{name}/blobs/uploads/" && method === "POST");
}
