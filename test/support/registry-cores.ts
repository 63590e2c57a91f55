import type { StorageDriver } from "../../src/drivers/storage/driver.ts";
import { Events } from "../../src/server/registry/events.ts";
import { LayerAnalysis } from "../../src/server/registry/layers/analysis.ts";
import { createRegistry, type Registry } from "../../src/server/registry/registry.ts";

/** Puts cores together over stores, until the end of the suite around; call it in the body of a `describe`. */
export function registryCores(): (driver: StorageDriver) => Registry {
  const analysis = new LayerAnalysis();
  after(async () => {
    await analysis.close();
  });
  return (driver) =>
    createRegistry({
      driver,
      analysis,
      limits: { maxSize: 0, maxAge: 24 },
      events: new Events((error) => {
        throw error as Error;
      }),
    });
}
