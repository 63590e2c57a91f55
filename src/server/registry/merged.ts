/**
 * Two lists in the byte order of what `nameOf` says as one, each name once, that of `one` where both have it; neither is
 * read further than needed.
 */
export async function* merged<T>(
  one: AsyncIterable<T>,
  other: AsyncIterable<T> | Iterable<T>,
  nameOf: (item: T) => string = String,
): AsyncGenerator<T> {
  const rest = iterator(other);
  try {
    let next = await rest.next();
    for await (const item of one) {
      const name = nameOf(item);
      for (; next.done !== true && nameOf(next.value) < name; next = await rest.next()) yield next.value;
      if (next.done !== true && nameOf(next.value) === name) next = await rest.next();
      yield item;
    }
    for (; next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return(undefined);
  }
}

/** How many items are held at a time. */
const pieceLength = 1_000;

/**
 * Items in byte order, each once, from the first beyond `after`, of a list that has another order. `list` is read once for
 * every thousand, of which no more are held.
 */
export async function* ordered(list: () => AsyncIterable<string>, after: string): AsyncGenerator<string> {
  for (let last = after; ;) {
    const piece = await smallest(list(), last);
    yield* piece;
    last = piece.at(-1) ?? last;
    if (piece.length < pieceLength) return;
  }
}

async function smallest(list: AsyncIterable<string>, last: string): Promise<readonly string[]> {
  let kept: readonly string[] = [];
  let added: string[] = [];
  const cut = (): readonly string[] => [...new Set([...kept, ...added])].sort().slice(0, pieceLength);
  for await (const item of list) {
    if (item <= last) continue;
    added.push(item);
    if (added.length < pieceLength) continue;
    kept = cut();
    added = [];
  }
  return cut();
}

async function* iterator<T>(source: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T, undefined, undefined> {
  yield* source;
}
