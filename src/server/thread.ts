import { Worker, type WorkerOptions } from "node:worker_threads";
import { packageFolder } from "./package-folder.ts";

/**
 * Starts a thread with the program of that name in `dist/`. Threads do not inherit a loader of TypeScript: where this is
 * TypeScript itself, `source` is started with tsx.
 */
export function startThread(name: string, source: URL, options: WorkerOptions = {}): Worker {
  // What the process was started with, like preloaded modules, is not meant for its threads.
  const own = { ...options, execArgv: [] };
  if (!import.meta.url.endsWith(".ts")) return new Worker(new URL(`dist/program/${name}.js`, packageFolder), own);
  const start = `import("tsx/esm/api").then((tsx) => { tsx.register(); return import(${JSON.stringify(source.href)}); })`;
  return new Worker(start, { ...own, eval: true });
}
