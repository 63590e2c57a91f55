/** What `source` yields, `size` at a time, so that many small operations on a store need not wait for each other. */
export async function* groups<T>(source: AsyncIterable<T> | Iterable<T>, size: number): AsyncGenerator<readonly T[]> {
  let group: T[] = [];
  for await (const item of source) {
    group.push(item);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
