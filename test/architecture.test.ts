import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";

const src = fileURLToPath(new URL("../src", import.meta.url));

/**
 * Who may import whom: a folder of the left side may import files that start with a text of the right side, and what is
 * in its own folder. The longest left side that fits a file counts.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  "cli/": ["server/index.ts", "server/package-folder.ts", "drivers/patience.ts"],
  "server/": ["server/", "drivers/"],
  "server/config/": ["server/package-folder.ts", "drivers/option.ts", "drivers/module.ts", "drivers/storage/"],
  "server/http/": ["server/errors.ts", "server/log.ts", "server/server.ts"],
  "server/registry/": ["server/errors.ts", "server/thread.ts", "drivers/storage/"],
  "server/accounts/": ["server/errors.ts", "server/log.ts", "server/thread.ts", "server/registry/", "drivers/storage/"],
  "server/access/": [
    "server/errors.ts",
    "server/log.ts",
    "server/accounts/",
    "server/http/",
    "server/registry/",
    "drivers/storage/",
  ],
  "server/events/": ["server/log.ts", "server/registry/", "drivers/search/search-index.ts"],
  "server/admin/": ["server/errors.ts", "server/http/"],
  "server/metrics/": ["server/server.ts", "server/http/", "server/mirror/", "drivers/storage/"],
  "server/v1/": [
    "server/errors.ts",
    "server/http/",
    "server/access/",
    "server/registry/",
    "drivers/search/search-index.ts",
  ],
  "drivers/": ["drivers/option.ts"],
  "drivers/storage/": ["drivers/option.ts", "drivers/http.ts", "drivers/module.ts", "drivers/cache/cache.ts"],
  "drivers/search/": ["drivers/option.ts", "drivers/module.ts"],
  "drivers/cache/": ["drivers/option.ts"],
  "drivers/report/": ["drivers/option.ts", "drivers/patience.ts"],
};

async function sources(): Promise<readonly string[]> {
  const entries = await readdir(src, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(src, join(entry.parentPath, entry.name)));
}

async function importsOf(file: string): Promise<readonly string[]> {
  const text = await readFile(join(src, file), "utf8");
  const specifiers = [...text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map(([, specifier = ""]) => specifier);
  return specifiers.map((specifier) => relative(src, resolve(dirname(join(src, file)), specifier)));
}

function layerOf(file: string): string {
  const layers = Object.keys(allowed).filter((layer) => file.startsWith(layer));
  return layers.sort((a, b) => b.length - a.length)[0] ?? "";
}

describe("the architecture", () => {
  it("lets nothing import upwards", async () => {
    const wrong: string[] = [];
    for (const file of await sources()) {
      const layer = layerOf(file);
      for (const imported of await importsOf(file)) {
        const fits = [layer, ...(allowed[layer] ?? [])].some((start) => imported.startsWith(start));
        if (!fits) wrong.push(`${file} imports ${imported}`);
      }
    }
    expect(wrong).to.deep.equal([]);
  });

  it("has no imports in a circle", async () => {
    const graph = new Map<string, readonly string[]>();
    for (const file of await sources()) {
      const text = await readFile(join(src, file), "utf8");
      const values = [...text.matchAll(/^(?:import|export)(?! type)[^;]*?from\s*"(\.[^"]+)"/gm)];
      graph.set(
        file,
        values.map(([, specifier = ""]) => relative(src, resolve(dirname(join(src, file)), specifier))),
      );
    }
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      expect(path, [...path, file].join(" → ")).not.to.include(file);
      if (done.has(file)) return;
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of graph.keys()) visit(file, []);
  });

  it("keeps files short and named for what is in them", async () => {
    const wrong: string[] = [];
    for (const file of await sources()) {
      const lines = (await readFile(join(src, file), "utf8")).split("\n").length - 1;
      if (lines > 300 || /(^|\/)(utils?|helpers?|types|constants|common|misc)\.ts$/.test(file)) wrong.push(file);
    }
    expect(wrong).to.deep.equal([]);
  });
});
