import { parseConfig } from "../../../src/server/config/config-file.ts";
import type { Environment } from "../../../src/server/config/environment.ts";
import { evaluate, type Evaluation } from "../../../src/server/config/flavors.ts";
import type { Settings } from "../../../src/server/config/schema.ts";

/** What a flavor of `yaml` comes to; the file is called `config.yml`. */
export function evaluated(yaml: string, env: Environment = {}, flavor = "dev"): Evaluation {
  return evaluate(parseConfig("config.yml", yaml), flavor, env);
}

/** The settings of a flavor that must be right. */
export function settingsFrom(yaml: string, env: Environment = {}, flavor = "dev"): Settings {
  const { loaded, problems } = evaluated(yaml, env, flavor);
  if (!loaded) throw new Error(`problems: ${JSON.stringify(problems)}`);
  return loaded.settings;
}

/** `storage: local` and the given lines, below `dev`. */
export function dev(...lines: string[]): string {
  return ["dev:", "  storage: local", "  storage_path: /data", ...lines.map((line) => `  ${line}`)].join("\n");
}
