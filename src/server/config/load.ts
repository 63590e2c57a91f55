import { findConfig, readConfig, type FileSearch } from "./config-file.ts";
import { variable } from "./environment.ts";
import { evaluate, flavorNames, type Evaluation, type Loaded } from "./flavors.ts";
import { loadForeignStorages } from "./foreign-search.ts";
import { ConfigError, type Problem } from "./problem.ts";

/** What `load` needs to know; `env` and `cwd` are parameters so that nothing here depends on the process. */
export interface LoadOptions extends FileSearch {
  /** `--flavor`; else `SETTINGS_FLAVOR`, else `dev`. */
  readonly flavor?: string | undefined;
}

/**
 * Finds, reads and checks the configuration and answers the settings of one flavor; loads the drivers by others that its
 * flavors choose. Rejects with a ConfigError that
 * lists everything that is wrong with the file and the flavor; other flavors are not looked at. Show `warnings`.
 */
export async function load(options: LoadOptions): Promise<Loaded> {
  const file = await readConfig(await findConfig(options));
  const flavor = flavorOf(options);
  const foreign = await loadForeignStorages(file, options);
  const { problems, loaded } = evaluate(file, flavor, options.env, foreign.get(flavor));
  if (!loaded || file.problems.length > 0) throw new ConfigError([...file.problems, ...problems]);
  return loaded;
}

/** A file with what each of its flavors comes to; `problems` are those of the file itself. */
export interface CheckedFile {
  readonly file: string;
  readonly problems: readonly Problem[];
  readonly flavors: readonly Evaluation[];
}

/** Checks every flavor of a file, for `check`. Rejects with a ConfigError only when the file can't be read as YAML. */
export async function loadAll(options: FileSearch): Promise<CheckedFile> {
  const file = await readConfig(await findConfig(options));
  const foreign = await loadForeignStorages(file, options);
  const flavors = flavorNames(file).map((flavor) => evaluate(file, flavor, options.env, foreign.get(flavor)));
  return { file: file.path, problems: file.problems, flavors };
}

/** The flavor that is asked for: by the option, by `SETTINGS_FLAVOR`, or `dev`. */
export function flavorOf({ flavor, env }: Pick<LoadOptions, "flavor" | "env">): string {
  const asked = flavor ?? variable(env, "SETTINGS_FLAVOR") ?? "";
  return asked === "" ? "dev" : asked;
}
