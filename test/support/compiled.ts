import { buildSync } from "esbuild";
import { mkdirSync, renameSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

/** As deep below the package as its sources, which look for other files of it. */
const folder = fileURLToPath(new URL("../../node_modules/.cache/", import.meta.url));
const done = new Map<string, string>();

/**
 * A program of the tests, `source`, and what it imports of `src/`, as one file of JavaScript; answers what node is started with.
 * It starts in a fraction of the time that it takes from its sources, which matters where tests start it again and again.
 */
export function compiled(source: URL): [flag: string, path: string] {
  const path = done.get(source.href) ?? compile(fileURLToPath(source));
  done.set(source.href, path);
  return ["--enable-source-maps", path];
}

/** Each process of the tests does it once, and the others may have it open: the file is replaced whole. */
function compile(source: string): string {
  const path = `${folder}registryctl-test-${basename(source, ".ts")}.js`;
  mkdirSync(folder, { recursive: true });
  const temporary = `${path}.${process.pid}`;
  const options = { bundle: true, packages: "external", format: "esm", platform: "node", target: "node20.19" } as const;
  buildSync({ ...options, entryPoints: [source], outfile: temporary, sourcemap: "inline" });
  renameSync(temporary, path);
  return path;
}
