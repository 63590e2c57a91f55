import { randomInt } from "node:crypto";
import type { Context } from "mocha";

/** Whole numbers from 0 up to (not including) `below`, the same for the same seed. */
export type Random = (below: number) => number;

/** Random numbers for a test; their seed is printed, and `TEST_SEED` repeats a run. */
export function seededRandom(context: Context): Random {
  const seed = Number(process.env["TEST_SEED"] ?? randomInt(2 ** 31));
  process.stderr.write(`      ${context.test?.title ?? "random"}: TEST_SEED=${seed}\n`);
  return randomFrom(seed);
}

/** Random numbers that `seed` alone decides. */
export function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
