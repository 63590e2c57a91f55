import { importFrom, isModulePath, ModuleError } from "../module.ts";
import { SearchIndexError } from "./errors.ts";
import type { SearchIndex } from "./search-index.ts";

/** What the module of an operator is given. */
export interface ModuleContext {
  readonly databaseUrl: string | undefined;
  /** The folder of the configuration file. */
  readonly folder: string;
}

/**
 * The index that a module of the operator exports as `open`, `index` or `default`: the index itself, or a function that
 * makes it from a ModuleContext. `name` is a package installed beside the configuration file or with this program, or a
 * path relative to the configuration file. Rejects with a SearchIndexError that says what is missing.
 */
export async function openModule(name: string, context: ModuleContext): Promise<SearchIndex> {
  const exported = exportOf(name, await load(name, context.folder));
  let index: unknown = exported;
  if (typeof exported === "function") {
    try {
      index = await Promise.resolve(exported(context));
    } catch (error) {
      throw new SearchIndexError(`The search backend "${name}" could not be opened: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
  return parseIndex(name, index);
}

async function load(name: string, folder: string): Promise<unknown> {
  try {
    return await importFrom([folder], name);
  } catch (error) {
    if (!(error instanceof ModuleError) || !error.isMissing) {
      throw new SearchIndexError(`The search backend "${name}" failed to load: ${messageOf(error)}`, { cause: error });
    }
    throw new SearchIndexError(
      isModulePath(name)
        ? `The search backend "${name}" is missing: ${error.message}`
        : `The search backend "${name}" is missing: install it with "npm install ${name}" in ${folder}, ` +
            "or set search_backend to database, to the path of a module, or to nothing",
      { cause: error },
    );
  }
}

type Open = (context: ModuleContext) => unknown;

function exportOf(name: string, module: unknown): object | Open {
  const exports = isObject(module) ? [module["open"], module["index"], module["default"]] : [];
  const found = exports.find((value) => isOpen(value) || isObject(value));
  if (!isOpen(found) && !isObject(found)) {
    throw new SearchIndexError(`The search backend "${name}" exports no index: export it as open, index or default`);
  }
  return found;
}

const methods = ["search", "put", "delete", "fill", "ping", "close"] as const;

function parseIndex(name: string, value: unknown): SearchIndex {
  const missing = isObject(value) ? methods.filter((method) => typeof value[method] !== "function") : methods;
  if (missing.length > 0) {
    throw new SearchIndexError(`The search backend "${name}" is no search index: it has no ${missing.join(", ")}`);
  }
  const index = value as SearchIndex;
  return typeof index.name === "string" ? index : named(index, name);
}

/** `index` may be an instance of a class: its methods must go on running on itself. */
function named(index: SearchIndex, name: string): SearchIndex {
  return {
    name,
    search: (query) => index.search(query),
    put: (entry) => index.put(entry),
    delete: (key) => index.delete(key),
    fill: (source) => index.fill(source),
    ping: () => index.ping(),
    close: () => index.close(),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isOpen(value: unknown): value is Open {
  return typeof value === "function";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
