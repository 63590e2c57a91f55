import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { renameSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker, type WorkerOptions } from "node:worker_threads";
import { packageFolder } from "./package-folder.ts";

/** Starts a thread with the program of that name in `dist/`; where this is TypeScript itself, with what `source` is now. */
export function startThread(name: string, source: URL, options: WorkerOptions = {}): Worker {
  const isSource = import.meta.url.endsWith(".ts");
  const program = isSource ? bundled(name, source) : new URL(`dist/program/${name}.js`, packageFolder);
  // What the process was started with, like preloaded modules, is not meant for its threads.
  return new Worker(program, { ...options, execArgv: isSource ? ["--enable-source-maps"] : [] });
}

const bundles = new Map<string, URL>();

/**
 * Threads do not inherit a loader of TypeScript, and each would need longer to load its own than for its work. Other
 * processes may be starting from the same file, so it is replaced whole.
 */
function bundled(name: string, source: URL): URL {
  const known = bundles.get(name);
  if (known) return known;
  const bundle = new URL(`node_modules/.cache/registryctl-${name}.js`, packageFolder);
  const temporary = new URL(`${bundle.href}.${randomUUID()}`);
  const options = ["--bundle", "--packages=external", "--format=esm", "--platform=node", "--sourcemap=inline"];
  const esbuild = fileURLToPath(new URL("node_modules/.bin/esbuild", packageFolder));
  execFileSync(esbuild, [
    fileURLToPath(source),
    ...options,
    "--log-level=warning",
    `--outfile=${fileURLToPath(temporary)}`,
  ]);
  renameSync(temporary, bundle);
  bundles.set(name, bundle);
  return bundle;
}
