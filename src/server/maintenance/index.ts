import type { Settings } from "../config/schema.ts";
import type { CopyCounts } from "./copy/counts.ts";
import type { CopyOptions } from "./copy.ts";
import type { AdoptOptions, AdoptReport } from "./adopt.ts";
import type { OpenedKeys } from "./opened-keys.ts";
import type { OpenOptions } from "./opened-store.ts";
import type { RegistryPort } from "./port.ts";

/** As in adopt.ts, which is loaded with the rest of the server when this is called. */
export async function adoptStore(settings: Settings, options: AdoptOptions): Promise<AdoptReport> {
  const { adoptStore: adopt } = await import("./adopt.ts");
  return await adopt(settings, options);
}

/** As in stored-registry.ts, which is loaded with the rest of the server when this is called. */
export async function openStoredRegistry(
  settings: Settings,
  name: string,
  options: OpenOptions,
): Promise<RegistryPort> {
  const { openStoredRegistry: open } = await import("./stored-registry.ts");
  return await open(settings, name, options);
}

/** As in copy.ts, which is loaded with the rest of the server when this is called. */
export async function copyStore(from: Settings, to: Settings, options: CopyOptions): Promise<CopyCounts> {
  const { copyStore: copy } = await import("./copy.ts");
  return await copy(from, to, options);
}

/** As in opened-keys.ts, which is loaded with what it needs of the server when this is called. */
export async function openKeys(settings: Settings, access: "read" | "write"): Promise<OpenedKeys> {
  const { openKeys: open } = await import("./opened-keys.ts");
  return await open(settings, access);
}
