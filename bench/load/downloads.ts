import { createHash } from "node:crypto";
import { headerOf } from "./answer-parser.ts";
import { Connection, requestHead, withConnections } from "./connection.ts";

/** A large body, taken by several clients at once, each several times. */
export interface DownloadsJob {
  readonly url: string;
  readonly path: string;
  readonly connections: number;
  readonly times: number;
  readonly length: number;
}

/** Bytes that were moved in so many seconds. */
export interface Moved {
  readonly bytes: number;
  readonly seconds: number;
}

const bufferSize = 1024 * 1024;

/** Downloads and throws away; rejects when an answer is not 200 or has another length. */
export async function downloads({ url: base, path, connections, times, length }: DownloadsJob): Promise<Moved> {
  const url = new URL(base);
  const head = requestHead(url, "GET", path);
  let start = Infinity;
  await withConnections(url, { count: connections, bufferSize }, async (connection) => {
    start = Math.min(start, performance.now());
    for (let turn = 0; turn < times; turn++) {
      const answer = await connection.exchange(head);
      if (answer.status !== 200 || answer.length !== length) {
        throw new Error(`GET ${path}: ${answer.status}, ${answer.length} bytes`);
      }
    }
  });
  return { bytes: connections * times * length, seconds: (performance.now() - start) / 1000 };
}

/** As `downloads`, where each answer is a redirect to another server, which is followed over connections of its own. */
export async function redirectedDownloads({ url, path, connections, times, length }: DownloadsJob): Promise<Moved> {
  const base = new URL(url);
  const head = requestHead(base, "GET", path);
  const start = performance.now();
  await withConnections(base, { count: connections }, async (connection) => {
    let other: Connection | undefined;
    try {
      for (let turn = 0; turn < times; turn++) {
        const answer = await connection.exchange(head);
        const target = new URL(headerOf(answer, "Location") ?? "", base);
        if (![302, 307].includes(answer.status) || target.host === base.host)
          throw new Error(`GET ${path}: ${answer.status}`);
        other ??= await Connection.open(target, bufferSize);
        const object = await other.exchange(requestHead(target, "GET", `${target.pathname}${target.search}`));
        if (object.status !== 200 || object.length !== length) throw new Error(`GET ${target.href}: ${object.status}`);
      }
    } finally {
      other?.close();
    }
  });
  return { bytes: connections * times * length, seconds: (performance.now() - start) / 1000 };
}

/** Downloads once; rejects unless the bytes are those of `digest` (sha256). */
export async function verifyDownload(job: {
  readonly url: string;
  readonly path: string;
  readonly digest: string;
}): Promise<void> {
  const url = new URL(job.url);
  const hash = createHash("sha256");
  const [answer] = await withConnections(url, { count: 1, bufferSize }, async (connection) => {
    return await connection.exchange(requestHead(url, "GET", job.path), { sink: (bytes) => hash.update(bytes) });
  });
  const digest = `sha256:${hash.digest("hex")}`;
  if (answer?.status !== 200) throw new Error(`GET ${job.path}: ${answer?.status ?? 0}`);
  if (digest !== job.digest) throw new Error(`GET ${job.path}: the bytes are those of ${digest}`);
}
