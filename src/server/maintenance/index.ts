import type { Settings } from "../config/schema.ts";
import type { AdoptOptions, AdoptReport } from "./adopt.ts";

/** As `adoptStore` of adopt.ts, which is loaded with the rest of the server when it is first called. */
export async function adoptStore(settings: Settings, options: AdoptOptions): Promise<AdoptReport> {
  const { adoptStore: adopt } = await import("./adopt.ts");
  return await adopt(settings, options);
}
