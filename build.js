import { build } from "esbuild";
import { Buffer } from "node:buffer";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath, URL } from "node:url";

/*
 * Bundles src/ into dist/: a program that is loaded from few files starts in two thirds of the time. What several entry
 * points share lies in chunks, so that a driver of somebody else's meets the same classes as the program. Everything lies
 * two folders below the package, as `src/server/package-folder.ts` expects. Files are replaced whole, and only where they
 * differ, so that servers may start meanwhile.
 */

/** Packages with native parts, and those that look for others when they run. */
const external = ["chai", "libsql", "mocha", "pg", "typeorm"];

const root = new URL("./", import.meta.url);
const dist = fileURLToPath(new URL("dist/", root));

const { metafile, outputFiles } = await build({
  absWorkingDir: fileURLToPath(root),
  entryPoints: {
    "program/main": "src/cli/main.ts",
    "program/hash-thread": "src/server/accounts/hash-thread.ts",
    "program/layer-worker": "src/server/registry/layers/worker.ts",
    "library/server": "src/server/index.ts",
    "library/driver": "src/drivers/storage/kit.ts",
    "library/driver-conformance": "src/drivers/storage/conformance.ts",
  },
  outdir: dist,
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  external,
  // For packages that are CommonJS and require what Node brings.
  banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);' }, // prettier-ignore
  minifyWhitespace: true,
  lineLimit: 120,
  sourcemap: true,
  sourcesContent: false,
  write: false,
  metafile: true,
  logLevel: "warning",
});
for (const { path, contents } of outputFiles) await put(path, contents);
await put(`${dist}LICENSES-OF-PACKAGES.txt`, Buffer.from(await licenses(Object.keys(metafile.inputs))));

async function put(path, contents) {
  const old = await readFile(path).catch(() => undefined);
  if (old?.equals(contents)) return;
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, contents);
  await rename(temporary, path);
}

/** The licences of the packages that the bundled `files` are from. */
async function licenses(files) {
  const folders = new Set(files.map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0]));
  folders.delete(undefined);
  const texts = [];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(new URL(`${folder}/package.json`, root), "utf8"));
    const file = (await readdir(new URL(folder, root))).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(new URL(`${folder}/${file}`, root), "utf8") : "";
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}
