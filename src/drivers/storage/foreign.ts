import { z } from "zod";
import { importFrom, isModulePath, ModuleError } from "../module.ts";
import type { Claim } from "./claim.ts";
import type { StorageDefinition } from "./define.ts";
import type { StorageDriver } from "./driver.ts";
import { DriverError } from "./errors.ts";

/** The package, or the path, that `storage: name` means where no driver of ours has the name. */
export function moduleOf(name: string): string {
  return isModulePath(name) || /^(@|registryctl-driver-)/.test(name) ? name : `registryctl-driver-${name}`;
}

/**
 * The driver that a module by others exports as `default` or `storage`. What is missing in it is told here; what is
 * missing in the driver that it opens, by `open`. `folders` as in `importFrom`. Rejects with a `ModuleError`.
 */
export async function loadStorage(name: string, folders: readonly [string, ...string[]]): Promise<StorageDefinition> {
  const definition = definitionIn(await importFrom(folders, moduleOf(name)));
  const { open, openToRead, claim } = definition;
  const { options, features, summary } = parseDefinition(definition);
  const own = (settings: unknown): unknown => {
    const entries = isObject(settings) ? Object.entries(settings) : [];
    return Object.fromEntries(
      entries.filter(([key, value]) => Object.hasOwn(options.shape, key) && value !== undefined && value !== ""),
    );
  };
  const opened = async (how: Callback, settings: unknown): Promise<StorageDriver> =>
    parseDriver(name, await Promise.resolve(how.call(definition, own(settings))));
  return {
    name,
    aliases: [],
    summary,
    features,
    options,
    open: async (settings) => await opened(callback("open", open), settings),
    ...(openToRead !== undefined && {
      openToRead: async (settings) => await opened(callback("openToRead", openToRead), settings),
    }),
    ...(claim !== undefined && {
      claim: async (settings, member) =>
        parseClaim(name, await Promise.resolve(callback("claim", claim).call(definition, own(settings), member))),
    }),
  };
}

type Callback = (this: unknown, ...values: unknown[]) => unknown;
type Plain = Readonly<Record<string, unknown>>;

function definitionIn(module: unknown): Plain {
  const exports = isObject(module) ? module : {};
  const { default: main, storage } = exports;
  // A CommonJS module made from an ES module has the default in its default.
  const candidates = [isObject(main) ? main["default"] : undefined, isObject(main) ? main["storage"] : undefined];
  for (const candidate of [...candidates, main, storage]) {
    if (isObject(candidate) && "open" in candidate) return candidate;
  }
  throw new ModuleError("it exports no driver: export what defineStorage makes as default or storage", false);
}

function parseDefinition(definition: Plain): Pick<StorageDefinition, "options" | "features" | "summary"> {
  const { options, features, summary } = definition;
  for (const name of ["open", "openToRead", "claim"]) {
    if (name === "open" || definition[name] !== undefined) callback(name, definition[name]);
  }
  if (!isOptions(options)) throw new ModuleError("its options are not what z.object of zod 4 makes", false);
  for (const field of Object.values<z.core.$ZodType>(options.shape)) adoptMeta(field);
  const { redirect, localFiles } = isObject(features) ? features : {};
  return {
    options,
    features: { redirect: redirect === true, localFiles: localFiles === true },
    summary: typeof summary === "string" ? summary : "",
  };
}

function callback(name: string, value: unknown): Callback {
  if (!isCallback(value)) throw new ModuleError(`its ${name} is no function`, false);
  return value;
}

/** By what they do, not by their class: the module may have its own copy of zod. */
function isOptions(value: unknown): value is z.ZodObject {
  if (!isSchema(value) || !isObject(value["shape"]) || !isCallback(value["safeParse"])) return false;
  return Object.values(value["shape"]).every(isSchema);
}

/** Of zod itself, not of zod/mini, whose schemas know too little of themselves. */
function isSchema(value: unknown): value is Plain {
  const internals = isObject(value) ? value["_zod"] : undefined;
  return isObject(internals) && internals["traits"] instanceof Set && internals["traits"].has("ZodType");
}

/** What a field was told of itself through another copy of zod, ours doesn't know by itself. */
function adoptMeta(field: z.core.$ZodType): void {
  if (z.globalRegistry.has(field) || !("meta" in field) || !isCallback(field.meta)) return;
  const meta = field.meta();
  if (isObject(meta)) z.globalRegistry.add(field, meta);
}

const methods = [
  ...["read", "write", "stat", "list", "children", "move", "copy", "link", "delete", "redirectUrl", "localPath"],
  ...["ping", "close"],
];

function parseDriver(name: string, value: unknown): StorageDriver {
  const missing = [
    ...(isObject(value) && typeof value["name"] === "string" ? [] : ["name"]),
    ...(isObject(value) && isObject(value["features"]) ? [] : ["features"]),
    ...methods.filter((method) => !isObject(value) || !isCallback(value[method])),
  ];
  if (missing.length === 0) return value as StorageDriver;
  const remedy = "completed() makes a whole driver from read, write, stat, list and delete";
  throw new DriverError("REFUSED", `the driver of storage ${name} has no ${missing.join(", ")}: ${remedy}`);
}

function parseClaim(name: string, value: unknown): Claim {
  if (isClaim(value)) return value;
  throw new DriverError("REFUSED", `the claim of storage ${name} has no isExclusive, onChange or release`);
}

function isClaim(value: unknown): value is Claim {
  if (!isObject(value) || typeof value["isExclusive"] !== "boolean") return false;
  return isCallback(value["onChange"]) && isCallback(value["release"]);
}

function isCallback(value: unknown): value is Callback {
  return typeof value === "function";
}

function isObject(value: unknown): value is Plain {
  return typeof value === "object" && value !== null;
}
