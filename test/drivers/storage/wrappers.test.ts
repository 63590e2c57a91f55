import { checked } from "../../../src/drivers/storage/checked.ts";
import { limited } from "../../../src/drivers/storage/limited.ts";
import { measured } from "../../../src/drivers/storage/measured.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { retried } from "../../../src/drivers/storage/retried.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { describeStorage } from "../../support/storage-conformance.ts";

/** Every wrapper is a driver like the one below it. */
const wrappers: Readonly<Record<string, (driver: StorageDriver) => StorageDriver>> = {
  "checked memory": checked,
  "limited memory": (driver) => limited(driver, { atOnce: 3, patience: 5 }),
  "retried memory": (driver) => retried(driver),
  "measured memory": (driver) => measured(driver, () => undefined),
  "memory below all of them": (driver) =>
    checked(measured(limited(retried(driver), { atOnce: 1, patience: 1 }), () => undefined)),
};

for (const [name, wrap] of Object.entries(wrappers)) {
  describeStorage(name, async () => await Promise.resolve(wrap(openMemory())), undefined, { inMemory: true });
}
