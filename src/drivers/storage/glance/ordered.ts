import { compareKeys, isBelow } from "../key-order.ts";

/** Something that a listing yields in the byte order of its keys. */
export interface Keyed {
  readonly key: string;
}

/** How many items are held at a time. */
const usualPiece = 20_000;

/**
 * The items of a list that comes in any order, in byte order from the first beyond `after`, each key once: of two, `better`
 * chooses. `list` is read once for every twenty thousand, of which never more than twice as many are held.
 */
export async function* ordered<T extends Keyed>(
  list: () => AsyncIterable<T>,
  after: string,
  better: (one: T, other: T) => T,
  pieceLength = usualPiece,
): AsyncGenerator<T> {
  for (let last = after; ;) {
    const piece = await smallest(list(), last, better, pieceLength);
    yield* piece;
    last = piece.at(-1)?.key ?? last;
    if (piece.length < pieceLength) return;
  }
}

async function smallest<T extends Keyed>(
  list: AsyncIterable<T>,
  after: string,
  better: (one: T, other: T) => T,
  length: number,
): Promise<readonly T[]> {
  let kept = new Map<string, T>();
  let bound: string | undefined;
  const cut = (): readonly T[] => [...kept.values()].sort((a, b) => compareKeys(a.key, b.key)).slice(0, length);
  for await (const item of list) {
    if (compareKeys(item.key, after) <= 0 || (bound !== undefined && compareKeys(item.key, bound) > 0)) continue;
    const known = kept.get(item.key);
    kept.set(item.key, known ? better(known, item) : item);
    if (kept.size < 2 * length) continue;
    const smaller = cut();
    kept = new Map(smaller.map((one) => [one.key, one]));
    bound = smaller.at(-1)?.key;
  }
  return cut();
}

/** Lists in byte order as one. Of items with the same key the one of the first list is taken; none is read further than needed. */
export async function* merged<T extends Keyed>(...lists: readonly AsyncIterable<T>[]): AsyncGenerator<T> {
  const readers = lists.map((list) => list[Symbol.asyncIterator]());
  try {
    const heads = await Promise.all(readers.map(async (reader) => await reader.next()));
    for (;;) {
      let first: T | undefined;
      for (const head of heads) {
        if (head.done !== true && (first === undefined || compareKeys(head.value.key, first.key) < 0))
          first = head.value;
      }
      if (first === undefined) return;
      yield first;
      const { key } = first;
      await Promise.all(
        readers.map(async (reader, index) => {
          const head = heads[index];
          if (head?.done === false && head.value.key === key) heads[index] = await reader.next();
        }),
      );
    }
  } finally {
    await Promise.all(readers.map(async (reader) => await reader.return?.(undefined)));
  }
}

/** The names directly below `prefix` that lead to what `list` yields; each as often as it does. */
export async function* namesBelow(list: AsyncIterable<Keyed>, prefix: string): AsyncGenerator<Keyed> {
  for await (const { key } of list) {
    if (isBelow(key, prefix)) yield { key: key.slice(prefix === "" ? 0 : prefix.length + 1).split("/", 1)[0] ?? "" };
  }
}
