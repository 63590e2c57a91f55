import { load, renderProblem, type Loaded, type Settings } from "../server/index.ts";
import type { Terminal } from "./terminal.ts";

/** The values of `configOption` and `flavorOption`. */
export interface ConfigurationFlags {
  readonly config?: string | undefined;
  readonly flavor?: string | undefined;
}

/**
 * The flavor that flags, environment and file agree on; its warnings go to stderr, unless `quiet`. Rejects with a
 * `ConfigError`.
 */
export async function loadFlavor(
  terminal: Terminal,
  { config, flavor }: ConfigurationFlags,
  { quiet }: { readonly quiet: boolean } = { quiet: false },
): Promise<Loaded> {
  const { cwd, env } = terminal.io;
  const loaded = await load({ cwd, env, configFile: config, flavor });
  if (!quiet) for (const warning of loaded.warnings) await terminal.warn(renderProblem(warning));
  return loaded;
}

/** What a flavor's storage is called in messages. */
export function storeName({ storage, storage_path: path }: Settings, flavor: string): string {
  return storage === "local" ? path : `the ${storage} storage of flavor ${flavor}`;
}
