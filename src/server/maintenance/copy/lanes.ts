import { settled } from "./not-copied.ts";

/**
 * Does the work for all that `source` yields, for so many at a time, whichever is done first; the source is not asked for
 * more. Rejects with the first failure, or the signal's reason, once all that was begun has ended.
 */
export async function inLanes<T>(
  source: AsyncIterable<T> | Iterable<T>,
  { atOnce, signal }: { readonly atOnce: number; readonly signal: AbortSignal },
  work: (item: T) => Promise<void>,
): Promise<void> {
  const items = eachOf(source);
  let failed = false;
  const lane = async (): Promise<void> => {
    try {
      for (let next = await items.next(); !next.done && !failed; next = await items.next()) {
        signal.throwIfAborted();
        await work(next.value);
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  try {
    await settled(Array.from({ length: atOnce }, lane));
  } finally {
    await items.return(undefined);
  }
}

/** A generator, unlike other iterators, may be asked for the next item before it has answered the last. */
async function* eachOf<T>(source: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T, undefined> {
  yield* source;
  return undefined;
}
