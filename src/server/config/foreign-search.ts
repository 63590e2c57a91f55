import { dirname, resolve } from "node:path";
import { isModulePath, ModuleError } from "../../drivers/module.ts";
import type { StorageDefinition } from "../../drivers/storage/define.ts";
import { loadStorage, moduleOf } from "../../drivers/storage/foreign.ts";
import { addStorage, storageDefinitions } from "../../drivers/storage/index.ts";
import type { Complaint } from "./complaints.ts";
import type { ConfigFile } from "./config-file.ts";
import { didYouMean } from "./did-you-mean.ts";
import { resolveScalar, type Environment } from "./environment.ts";
import { flavorNames, withCommon } from "./flavors.ts";
import type { ForeignStorage } from "./foreign-storage.ts";
import { settingsSchema } from "./schema.ts";
import { choice } from "./schema-walk.ts";
import { absentStorages, storageOptions } from "./storages.ts";

/**
 * Loads the drivers by others that the flavors of a file choose, by flavor: what is an option in one flavor may stand in
 * `common` for all. Modules are looked for from the file's folder and from `cwd`. Never rejects.
 */
export async function loadForeignStorages(
  file: ConfigFile,
  { env, cwd }: { readonly env: Environment; readonly cwd: string },
): Promise<ReadonlyMap<string, ForeignStorage>> {
  const folder = dirname(resolve(cwd, file.path));
  const found = new Map<string, ForeignStorage>();
  for (const flavor of flavorNames(file)) {
    const entry = withCommon(file, flavor).entries.get("storage");
    const scalar = entry?.value.kind === "scalar" ? resolveScalar(entry.value, env) : undefined;
    const text = scalar?.text ?? "";
    if (entry === undefined || text === "" || isOurs(text)) continue;
    const name = isModulePath(text) ? resolve(folder, text) : text.toLowerCase();
    const driver = await load(name, [folder, cwd]);
    // That a storage is not in this version, the file is told in other words.
    if ("problem" in driver && Object.hasOwn(absentStorages, name)) continue;
    if ("open" in driver) addStorage(name, driver);
    found.set(flavor, { name, driver: "open" in driver ? driver : { ...driver, line: entry.line } });
  }
  return found;
}

const ourNames = storageDefinitions.flatMap(({ name, aliases }) => [name, ...aliases]);

function isOurs(name: string): boolean {
  return ourNames.includes(name.toLowerCase());
}

async function load(name: string, folders: readonly [string, string]): Promise<StorageDefinition | Complaint> {
  const module = moduleOf(name);
  if (!isModulePath(module) && !/^(@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]{0,200}$/.test(module)) {
    return { key: "storage", ...notThere(name, "which can't be the name of a package either") };
  }
  try {
    const definition = await loadStorage(name, folders);
    const taken = Object.keys(definition.options.shape).filter((option) => isReserved(option));
    if (taken.length === 0) return definition;
    throw new ModuleError(`its options ${choice(taken, "and")} have names of the registry's own`, false);
  } catch (error) {
    if (!(error instanceof ModuleError)) throw error;
    if (!error.isMissing) {
      const remedy = "Correct that module, or ask its author; docs/drivers.md says what a driver is.";
      return { key: "storage", problem: `the driver ${module} can't be used: ${error.message}`, remedy };
    }
    if (isModulePath(module)) {
      return {
        key: "storage",
        problem: error.message,
        remedy: "Name the module of a driver, from this file's folder.",
      };
    }
    const install = `run npm install ${module} in ${folders[0]}`;
    return { key: "storage", ...notThere(name, `and the package ${module} is not installed`, install) };
  }
}

function notThere(name: string, besides: string, install?: string): Pick<Complaint, "problem" | "remedy"> {
  const meant = didYouMean(name, [...ourNames, ...Object.keys(absentStorages)]);
  const choose = `choose ${choice(ourNames)}`;
  return {
    problem: `there is no storage ${JSON.stringify(name.slice(0, 64))}, ${besides}`,
    remedy: `${meant}${install === undefined ? `C${choose.slice(1)}` : `For a driver by others, ${install}; else ${choose}`}.`,
  };
}

/** Whether an option is one of the registry, not of some storage. */
function isReserved(option: string): boolean {
  const isOfStorage = Object.hasOwn(storageOptions, option) && option !== "storage";
  return Object.hasOwn(settingsSchema.shape, option) && !isOfStorage;
}
