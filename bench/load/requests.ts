import { createHash } from "node:crypto";
import { quantile } from "../statistics.ts";
import { requestHead, withConnections } from "./connection.ts";

/** Requests without a body, over and over. */
export interface RequestsJob {
  readonly url: string;
  readonly method: "GET" | "HEAD";
  /** The connections take these in turn. */
  readonly paths: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
  /** What every answer has to be; a body's length is not checked when it isn't given. */
  readonly status: number;
  readonly length?: number;
}

/** How many requests were answered in how many seconds, and in how many milliseconds half of them and 99 of 100. */
export interface RequestsResult {
  readonly count: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** No sample is larger, however fast the server is. */
const mostRequests = 2_000_000;

/** Sends requests for a while; rejects at the first answer that is not as it should be. */
export async function requests(job: RequestsJob): Promise<RequestsResult> {
  const url = new URL(job.url);
  const heads = job.paths.map((path) => Buffer.from(requestHead(url, job.method, path, job.headers)));
  const times: number[] = [];
  const bodyless = job.method === "HEAD";
  const expected = bodyless ? 0 : job.length;
  let seconds = 0;
  await withConnections(url, { count: job.connections }, async (connection, index) => {
    const start = performance.now();
    const end = start + job.seconds * 1000;
    let now = start;
    for (let turn = index; now < end && times.length < mostRequests; turn++) {
      const answer = await connection.exchange(heads[turn % heads.length] ?? "", { bodyless });
      if (answer.status !== job.status || (expected !== undefined && answer.length !== expected)) {
        throw new Error(`${job.method} ${job.paths.join(", ")}: ${answer.status}, ${answer.length} bytes`);
      }
      const then = now;
      now = performance.now();
      times.push(now - then);
    }
    seconds = Math.max(seconds, (now - start) / 1000);
  });
  return { count: times.length, seconds, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** One GET with its body; rejects unless it is answered 200. */
export async function fetchBody(job: {
  readonly url: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}): Promise<{ readonly body: string; readonly digest: string; readonly length: number }> {
  const url = new URL(job.url);
  const parts: Buffer[] = [];
  const [answer] = await withConnections(url, { count: 1 }, async (connection) => {
    return await connection.exchange(requestHead(url, "GET", job.path, job.headers), {
      sink: (bytes) => parts.push(Buffer.from(bytes)),
    });
  });
  const body = Buffer.concat(parts);
  if (answer?.status !== 200)
    throw new Error(`GET ${job.path}: ${answer?.status ?? 0} ${body.toString().slice(0, 200)}`);
  const digest = `sha256:${createHash("sha256").update(body).digest("hex")}`;
  return { body: body.toString(), digest, length: body.length };
}
