/** So many items are sorted or merged before others have their turn: some milliseconds. */
const atOnce = 8_192;

/** Sorts as `toSorted` does, but lets others have their turn meanwhile when there is much to sort. `items` is used up. */
export async function gentlySorted<T>(items: T[], compare: (a: T, b: T) => number): Promise<T[]> {
  if (items.length <= atOnce) return items.sort(compare);
  let runs: T[][] = [];
  for (let start = 0; start < items.length; start += atOnce) {
    runs.push(items.slice(start, start + atOnce).sort(compare));
    await turnOfOthers();
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let index = 0; index < runs.length; index += 2) {
      merged.push(await mergedGently(runs[index] ?? [], runs[index + 1] ?? [], compare));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function mergedGently<T>(left: readonly T[], right: readonly T[], compare: (a: T, b: T) => number): Promise<T[]> {
  const merged: T[] = [];
  let [l, r] = [0, 0];
  while (l < left.length || r < right.length) {
    const [a, b] = [left[l], right[r]];
    if (b === undefined || (a !== undefined && compare(a, b) <= 0)) {
      if (a !== undefined) merged.push(a);
      l += 1;
    } else {
      merged.push(b);
      r += 1;
    }
    if (merged.length % atOnce === 0) await turnOfOthers();
  }
  return merged;
}

async function turnOfOthers(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}
