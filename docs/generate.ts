import { readFile, writeFile } from "node:fs/promises";
import { configJsonSchema } from "../src/server/config/json-schema.ts";
import { commandReference } from "./commands.ts";
import { errorReference } from "./errors.ts";
import { pageWithFiles } from "./included.ts";
import { configurationReference } from "./reference.ts";
import { mirrorConfig, sampleConfig } from "./sample.ts";

/** The files that are made from the sources, by their path from the root of the project. */
const generated: Readonly<Record<string, () => string>> = {
  "config/config_sample.yml": sampleConfig,
  "config/config_mirror.yml": mirrorConfig,
  "docs/commands.md": commandReference,
  "docs/configuration.md": configurationReference,
  "docs/configuration.schema.json": () => `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`,
  "docs/drivers.md": () => pageWithFiles("docs/drivers.md"),
  "docs/errors.md": errorReference,
};

const root = new URL("../", import.meta.url);
const checking = process.argv.includes("--check");
const stale: string[] = [];

for (const [path, content] of Object.entries(generated)) {
  const file = new URL(path, root);
  const before = await readFile(file, "utf8").catch(() => undefined);
  if (before === content()) continue;
  stale.push(path);
  if (!checking) await writeFile(file, content());
}

if (checking && stale.length > 0) {
  process.stderr.write(`out of date, run npm run docs: ${stale.join(", ")}\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(stale.length === 0 ? "up to date\n" : `written: ${stale.join(", ")}\n`);
}
