import { setTimeout as sleep } from "node:timers/promises";

/** Tries in all, and milliseconds before the second at most; each later wait may be twice as long. */
export interface Attempts {
  readonly attempts: number;
  readonly delay: number;
}

/** Does `work`, and does it again as long as `again` says of its failure that this is worth it. */
export async function attempt<T>(
  work: () => Promise<T>,
  { attempts, delay }: Attempts,
  again: (error: unknown) => boolean,
): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await work();
    } catch (error) {
      if (count >= attempts || !again(error)) throw error;
      // Anything up to the full time, so that those who failed together don't come back together.
      await sleep(Math.random() * delay * 2 ** (count - 1));
    }
  }
}
