import { z } from "zod";
import { option } from "../option.ts";
import { defineStorage, type StorageDefinition } from "./define.ts";
import { glanceFeatures, glanceSchema, type GlanceSettings } from "./glance/options.ts";
import { local } from "./local.ts";
import { readOnly } from "./read-only.ts";
import { swift } from "./swift.ts";
import { swiftOptions } from "./swift/options.ts";

/**
 * Layers as images of OpenStack Glance, and all else in another store, the alternate. Which of them has an object, its
 * key alone says.
 */
export const glance = defineStorage({
  name: "glance",
  summary: "Layers as images of OpenStack Glance, all else in a folder or in Swift.",
  features: glanceFeatures,
  options: z.object({
    storage_path: option(z.string().min(1).default("/tmp/registry"), {
      description: "What storage_path is to the alternate store: the folder, or the prefix of all keys.",
      env: ["STORAGE_PATH"],
    }),
    ...local.options.pick({ min_free: true }).shape,
    ...swiftOptions,
    ...glanceSchema.shape,
  }),
  open: async (settings) => {
    const { openGlance } = await import("./glance/storage.ts");
    return await openGlance(settings, await alternates[settings.storage_alternate].open(settings));
  },
  openToRead: async (settings) => {
    const { openGlance } = await import("./glance/storage.ts");
    const definition = alternates[settings.storage_alternate];
    const alternate = await (definition.openToRead?.(settings) ?? definition.open(settings));
    return readOnly(await openGlance(settings, alternate, { cleansUp: false }));
  },
});

const alternates: Readonly<Record<GlanceSettings["storage_alternate"], StorageDefinition>> = { local, swift };
