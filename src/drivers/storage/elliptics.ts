import { defineStorage } from "./define.ts";
import type { StorageDriver } from "./driver.ts";
import { ellipticsSchema, type EllipticsSettings } from "./elliptics/options.ts";
import type { EllipticsTuning } from "./elliptics/connect.ts";

/** Objects in an Elliptics cluster, by its own protocol of version 2.26, as the Python registry kept them. */
export const elliptics = defineStorage({
  name: "elliptics",
  summary: "Objects in an Elliptics cluster of version 2.26, as the Python registry kept them.",
  options: ellipticsSchema,
  open: async (settings) => await openElliptics(settings),
  openToRead: async (settings) => await openElliptics(settings, { cleansUp: false }),
});

/**
 * Opens the store and connects to its nodes; those that don't answer may do so later. REFUSED where no node is named. The client
 * is loaded here, not before.
 */
export async function openElliptics(
  settings: EllipticsSettings,
  tuning: Partial<EllipticsTuning> = {},
): Promise<StorageDriver> {
  const { connectElliptics } = await import("./elliptics/connect.ts");
  return await connectElliptics(settings, tuning);
}
