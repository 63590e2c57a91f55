import { z } from "zod";
import { addedStorages, findStorage } from "../../drivers/storage/index.ts";
import { registryOptions } from "./registry-options.ts";
import { serverOptions } from "./server-options.ts";
import { serviceOptions } from "./service-options.ts";
import { defaultsOfStorage, storageOptions } from "./storages.ts";

/** The options in the groups that the reference shows them in. */
export const optionGroups = {
  storage: storageOptions,
  server: serverOptions,
  registry: registryOptions,
  services: serviceOptions,
} as const;

/** Every option of a flavor; what it yields is `Settings`. `load` has read files and environment before. */
export const settingsSchema = z.object({
  ...storageOptions,
  ...serverOptions,
  ...registryOptions,
  ...serviceOptions,
});

/** All options of a flavor whose `storage` has this name: with those of its driver, where somebody else has made it. */
export function flavorSchema(storage: string): z.ZodObject {
  const definition = findStorage(storage);
  if (definition === undefined || definition !== addedStorages().get(storage)) return settingsSchema;
  const { storage: described, ...others } = settingsSchema.shape;
  const own = definition.options.shape;
  return z.object({ storage: z.string().meta(described.meta() ?? {}), ...own, ...others, ...own });
}

/** The options of a section without any of which the section is off. A section not named here is off when it is empty. */
export const sectionSwitches: Readonly<Record<string, readonly string[]>> = {
  cache: ["host"],
  cache_lru: ["host"],
  metrics: ["port"],
  mirroring: ["source", "upstreams"],
  email_exceptions: ["smtp_host"],
  cors: ["origins"],
  auth: ["htpasswd", "rules", "token"],
};

/** What a flavor comes to: every option by its own name, defaults filled in, `file` become `local`, sizes become bytes. */
export type Settings = Immutable<z.output<typeof settingsSchema>>;

/** What may be written in a flavor, once text has become values. */
export type SettingsInput = Immutable<z.input<typeof settingsSchema>>;

/** `values` with the defaults of all other options, without a file or an environment. Throws zod's error. */
export function settingsOf(values: SettingsInput): Settings {
  return settingsSchema.parse({ ...defaultsOfStorage(values.storage), ...values });
}

type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T;
