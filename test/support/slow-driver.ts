import { setTimeout as sleep } from "node:timers/promises";
import type { Stat, StorageDriver } from "../../src/drivers/storage/driver.ts";
import { DriverError } from "../../src/drivers/storage/errors.ts";
import { sourceOf } from "../../src/drivers/storage/source-of.ts";
import type { Random } from "./random.ts";

/** How a driver is disturbed: one of so many calls fails, before or after its effect; 0 is none. */
export interface Disturbance {
  readonly random: Random;
  failing: number;
}

/** `driver`, whose operations wait at random before and after their effect, and fail now and then. */
export function slow(driver: StorageDriver, disturbance: Disturbance): StorageDriver {
  const { random } = disturbance;
  const pause = async (): Promise<void> => {
    const kind = random(8);
    if (kind < 3) return;
    if (kind < 6) await new Promise((resolve) => setImmediate(resolve));
    else await sleep(random(3));
  };
  const stumble = (): void => {
    if (disturbance.failing > 0 && random(disturbance.failing) === 0) throw new DriverError("UNAVAILABLE", "injected");
  };
  const around = async <T>(work: () => Promise<T>): Promise<T> => {
    await pause();
    stumble();
    const result = await work();
    await pause();
    stumble();
    return result;
  };
  const each = async function* <T>(items: () => AsyncIterable<T>): AsyncGenerator<T> {
    await pause();
    stumble();
    for await (const item of items()) {
      yield item;
      await pause();
    }
    stumble();
  };
  return {
    name: driver.name,
    features: driver.features,
    read: async (key, range) => await around(() => driver.read(key, range)),
    write: async (key, source, size) => await around(() => driver.write(key, source, size)),
    writeInSteps: async (steps) => {
      const stats: Stat[] = [];
      for (const { key, bytes } of steps.flat()) {
        stats.push(await around(() => driver.write(key, sourceOf(bytes), bytes.length)));
      }
      return stats;
    },
    stat: async (key) => await around(() => driver.stat(key)),
    list: (prefix, after) => each(() => driver.list(prefix, after)),
    children: (prefix, after) => each(() => driver.children(prefix, after)),
    move: async (from, to) => {
      await around(() => driver.move(from, to));
    },
    copy: async (from, to) => {
      await around(() => driver.copy(from, to));
    },
    link: async (from, to) => {
      await around(() => driver.link(from, to));
    },
    delete: async (key) => {
      await around(() => driver.delete(key));
    },
    redirectUrl: async (key, options) => await driver.redirectUrl(key, options),
    localPath: (key) => driver.localPath(key),
    ping: async () => {
      await driver.ping();
    },
    close: async () => {
      await driver.close();
    },
  };
}
