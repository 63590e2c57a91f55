import { BlobSeries } from "./blob-series.ts";
import { Connection, requestHead } from "./connection.ts";
import type { Moved } from "./downloads.ts";
import { push } from "./uploads.ts";

/** Pushes and pulls of large blobs that go on at the same time until the window closes. */
export interface TransfersJob {
  readonly url: string;
  readonly repository: string;
  readonly size: number;
  readonly pushes: number;
  readonly pulls: number;
  /** The blob that is pulled over and over. */
  readonly digest: string;
  readonly seconds: number;
}

/**
 * Counts the bytes that move in both directions within a window of time, not whole blobs: otherwise a transfer that the
 * window cuts would count for nothing. What is still running then is cut.
 */
export async function transfers(job: TransfersJob): Promise<{ readonly pushed: Moved; readonly pulled: Moved }> {
  const url = new URL(job.url);
  const series = new BlobSeries(job.size);
  const open = async (bufferSize: number) => await Connection.open(url, bufferSize);
  const pushing = await Promise.all(Array.from({ length: job.pushes }, () => open(64 * 1024)));
  const pulling = await Promise.all(Array.from({ length: job.pulls }, () => open(1024 * 1024)));
  let isOpen = true;
  let pushed = 0;
  let pulled = 0;
  const untilClosed = async (transfer: () => Promise<void>): Promise<void> => {
    try {
      while (isOpen) await transfer();
    } catch (error) {
      if (isOpen) throw error;
    }
  };
  const pull = requestHead(url, "GET", `/v2/${job.repository}/blobs/${job.digest}`);
  const start = performance.now();
  const running = Promise.all([
    ...pushing.map(async (connection) => {
      await untilClosed(async () => {
        const sent = (bytes: number): void => {
          pushed += bytes;
        };
        await push(connection, url, { repository: job.repository, form: "monolithic", blob: series.next(), sent });
      });
    }),
    ...pulling.map(async (connection) => {
      await untilClosed(async () => {
        const sink = (bytes: Buffer): void => {
          pulled += bytes.length;
        };
        const answer = await connection.exchange(pull, { sink });
        if (answer.status !== 200 || answer.length !== job.size) throw new Error(`GET of a blob: ${answer.status}`);
      });
    }),
  ]);
  const closed = new Promise((resolve) => setTimeout(resolve, job.seconds * 1000));
  try {
    await Promise.race([closed, running]);
  } finally {
    isOpen = false;
  }
  const seconds = (performance.now() - start) / 1000;
  const result = { pushed: { bytes: pushed, seconds }, pulled: { bytes: pulled, seconds } };
  for (const connection of [...pushing, ...pulling]) connection.close();
  await running;
  return result;
}
