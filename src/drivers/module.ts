import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** Why a module of the operator's, or one that somebody else has published, can't be used. */
export class ModuleError extends Error {
  override readonly name = "ModuleError";
  /** Whether there is no such module; else it is there and does not load. */
  readonly isMissing: boolean;

  constructor(message: string, isMissing: boolean, options?: ErrorOptions) {
    super(message, options);
    this.isMissing = isMissing;
  }
}

/** Whether a module's name is a path; else it is that of a package. */
export function isModulePath(name: string): boolean {
  return isAbsolute(name) || /^\.{1,2}\/|\.[cm]?[jt]s$/.test(name);
}

/**
 * What a module exports. A path, of a file or of a package's folder, is relative to the first of `folders`; a package is
 * looked for from each of them in turn, as Node would for a module that lies there, and then from this program. Rejects
 * with a `ModuleError`.
 */
export async function importFrom(folders: readonly [string, ...string[]], name: string): Promise<unknown> {
  const path = isModulePath(name) ? resolve(folders[0], name) : await packageFolder(name, folders);
  const kind = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (path === undefined || kind === undefined) {
    throw new ModuleError(path === undefined ? "it is not installed" : `there is no file ${path}`, true);
  }
  try {
    const file = kind.isDirectory() ? await entryOf(path) : path;
    const module: unknown = await import(pathToFileURL(file).href);
    return module;
  } catch (cause) {
    throw new ModuleError(cause instanceof Error ? cause.message : String(cause), false, { cause });
  }
}

async function packageFolder(name: string, folders: readonly string[]): Promise<string | undefined> {
  const requires = [...folders.map((folder) => createRequire(resolve(folder, "configuration"))), ownRequire];
  for (const path of requires.flatMap((require) => require.resolve.paths(name) ?? [])) {
    const folder = join(path, name);
    if (await stat(join(folder, "package.json")).catch(() => undefined)) return folder;
  }
  return undefined;
}

const ownRequire = createRequire(import.meta.url);

/** The file that an `import` of the package in `folder` loads. */
async function entryOf(folder: string): Promise<string> {
  const description: unknown = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const exports: unknown = isObject(description) ? description["exports"] : undefined;
  if (exports === undefined) return ownRequire.resolve(folder);
  const target = targetOf(isObject(exports) && Object.hasOwn(exports, ".") ? exports["."] : exports);
  if (target === undefined) throw new Error("its package.json exports nothing that could be imported");
  return join(folder, target);
}

const conditions = new Set(["node", "import", "module-sync", "default"]);

/** The first target that the conditions of an `import` lead to. `require.resolve` knows those of `require` only. */
function targetOf(exports: unknown): string | undefined {
  if (typeof exports === "string") return exports;
  if (Array.isArray(exports)) return exports.map(targetOf).find((target) => target !== undefined);
  if (!isObject(exports)) return undefined;
  const chosen = Object.entries(exports).filter(([condition]) => conditions.has(condition));
  return chosen.map(([, value]) => targetOf(value)).find((target) => target !== undefined);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
