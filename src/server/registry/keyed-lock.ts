import type { Turns } from "../../drivers/storage/keyed-lock.ts";

export { KeyedLock, type Turns } from "../../drivers/storage/keyed-lock.ts";

/** Turns at keys of one's own: a task that has such a turn may be waited for by one that has another at the same key. */
export function turnsApart(turns: Turns, name: string): Turns {
  return { run: async (key, task) => await turns.run(`${name} ${key}`, task) };
}
