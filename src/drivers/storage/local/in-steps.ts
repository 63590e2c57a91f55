import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { SmallObject, Stat } from "../driver.ts";
import { inWrite } from "./failure.ts";
import type { Folders } from "./folders.ts";
import { place } from "./placement.ts";
import type { Temporaries } from "./temporaries.ts";

/** An object and where it is to lie. */
export interface PlacedObject extends SmallObject {
  readonly path: string;
}

/**
 * `StorageDriver.writeInSteps`. All contents go to the disk at the same time, then the names are given, step by step. Where
 * the disk gets names in their order, one wait for all of them is enough. Elsewhere there is another before the last step: what
 * it replaces must not be gone before all that it stands for is there to stay.
 */
export async function putInSteps(
  steps: readonly (readonly PlacedObject[])[],
  folders: Folders,
  temporaries: Temporaries,
): Promise<readonly Stat[]> {
  const objects = steps.flat();
  const held = new Map<PlacedObject, { readonly path: string; readonly stat: Stat }>();
  const hold = async (object: PlacedObject): Promise<Stat> => {
    const file = await temporaries.hold(object.bytes);
    held.set(object, file);
    return file.stat;
  };
  const name = async (object: PlacedObject): Promise<void> => {
    const file = held.get(object);
    if (file) await place(file.path, object.path, folders, temporaries);
  };
  const settle = async (done: readonly PlacedObject[]): Promise<void> => {
    await folders.settle(...done.map(({ path }) => dirname(path)));
  };
  try {
    const [stats] = await Promise.all([
      each(objects, hold),
      each(objects, async ({ path }) => {
        await folders.make(dirname(path));
      }),
    ]);
    const last = steps.at(-1) ?? [];
    const before = steps.slice(0, -1);
    for (const step of before) await each(step, name);
    const isOrdered = await folders.keepOrder(objects.map(({ path }) => dirname(path)));
    if (!isOrdered && objects[0]) await inWrite(objects[0].key, settle(before.flat()));
    await each(last, name);
    if (last[0]) await inWrite(last[0].key, settle(isOrdered ? objects : last));
    return stats;
  } catch (error) {
    for (const { path } of held.values()) await rm(path, { force: true });
    throw error;
  }
}

/** What `work` makes of each, at the same time. When one rejects, so does this, once all are over. */
async function each<T>(
  objects: readonly PlacedObject[],
  work: (object: PlacedObject) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  const outcomes = await Promise.allSettled(objects.map(async (object) => await inWrite(object.key, work(object))));
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") throw outcome.reason;
    results.push(outcome.value);
  }
  return results;
}
