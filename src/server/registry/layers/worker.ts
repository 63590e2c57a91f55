import { once } from "node:events";
import { constants, platform, setPriority } from "node:os";
import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import type { Algorithm } from "../digest.ts";
import { archiveOf } from "./archive.ts";
import { decompressed } from "./compression.ts";
import { fileDiff } from "./file-diff.ts";
import { examined } from "./examination.ts";
import { fileList } from "./file-list.ts";
import { gzipped } from "./gzip.ts";
import { receivedStream, sendStream } from "./remote-stream.ts";
import { tarsum } from "./tarsum.ts";

/** What to make of a stream. */
export type Task =
  | { readonly kind: "files" }
  | { readonly kind: "diff" }
  | { readonly kind: "tarsum"; readonly json: Uint8Array }
  | { readonly kind: "examine"; readonly algorithm: Algorithm }
  | { readonly kind: "repack" };

/**
 * A task with the ports that its streams come and go through. The worker posts a message when it has ended and nobody
 * reads its result any more: until then it may be ended on account of this job.
 */
export interface Job {
  readonly task: Task;
  readonly input: MessagePort;
  readonly output: MessagePort;
}

/** What a worker is started with. */
export interface WorkerSettings {
  readonly yields: boolean;
}

const { yields } = workerData as WorkerSettings;
// On Linux it is the thread's own, elsewhere the whole server's.
if (yields && platform() === "linux") setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

parentPort?.on("message", (job: Job) => {
  void work(job);
});

async function work({ task, input, output }: Job): Promise<void> {
  const closed = once(output, "close");
  try {
    await sendStream(resultOf(task, input), output);
  } catch {
    // Who reads the result has been told.
  }
  await closed;
  parentPort?.postMessage("free");
}

function resultOf(task: Task, input: MessagePort): AsyncIterable<Uint8Array> {
  // Behind the next chunk may be another ancestor's list, which has to be made first and perhaps is not needed.
  if (task.kind === "diff") return fileDiff(receivedStream(input, 0));
  const layer = receivedStream(input, 4);
  if (task.kind === "examine")
    return only(async () => Buffer.from(JSON.stringify(await examined(layer, task.algorithm))));
  if (task.kind === "repack") return gzipped(archiveOf(layer));
  const archive = decompressed(layer);
  if (task.kind === "files") return fileList(archive);
  return only(async () => Buffer.from(await tarsum(task.json, archive)));
}

async function* only(value: () => Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await value();
}
