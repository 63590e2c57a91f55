import { parentPort, type MessagePort } from "node:worker_threads";
import { decompressed } from "./compression.ts";
import { fileDiff } from "./file-diff.ts";
import { fileList } from "./file-list.ts";
import { receivedStream, sendStream } from "./remote-stream.ts";
import { tarsum } from "./tarsum.ts";

/** What to make of a stream. */
export type Task =
  { readonly kind: "files" } | { readonly kind: "diff" } | { readonly kind: "tarsum"; readonly json: Uint8Array };

/** A task with the ports that its streams come and go through. The worker posts a message when it has ended. */
export interface Job {
  readonly task: Task;
  readonly input: MessagePort;
  readonly output: MessagePort;
}

parentPort?.on("message", (job: Job) => {
  void work(job);
});

async function work({ task, input, output }: Job): Promise<void> {
  try {
    await sendStream(resultOf(task, receivedStream(input)), output);
  } catch {
    // Who reads the result has been told.
  }
  parentPort?.postMessage("free");
}

function resultOf(task: Task, input: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (task.kind === "diff") return fileDiff(input);
  if (task.kind === "files") return fileList(decompressed(input));
  return only(async () => Buffer.from(await tarsum(task.json, decompressed(input))));
}

async function* only(value: () => Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await value();
}
