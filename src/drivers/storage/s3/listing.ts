import type { Entry } from "../driver.ts";
import { compareKeys } from "../key-order.ts";
import type { ObjectBucket } from "./object-bucket.ts";

type Pages = Pick<ObjectBucket, "tuning" | "page">;

/** Every object below `prefix` beyond `after`: servers list them in byte order of whole keys, as it has to be. */
export async function* listObjects(bucket: Pages, prefix: string, after = ""): AsyncGenerator<Entry> {
  const request = { prefix: folder(prefix), folded: false, limit: bucket.tuning.pageSize };
  for (let from: string | undefined = after; from !== undefined;) {
    const { entries, next } = await bucket.page({ ...request, after: from });
    yield* entries;
    from = next;
  }
}

/**
 * The names directly below `prefix` beyond `after`. Servers sort a folder `b` as `b/`, behind `b-c`, but as a name it
 * comes before: what could be preceded by a folder is held back until that folder has come or can't come any more.
 * Where that lies beyond the page, the server is asked for the folder itself.
 */
export async function* listNames(bucket: Pages, prefix: string, after = ""): AsyncGenerator<string> {
  const base = folder(prefix);
  const order = new NameOrder(after);
  const request = { prefix: base, folded: true, limit: bucket.tuning.pageSize };
  for (let from: string | undefined = after === "" ? "" : base + after; from !== undefined;) {
    const { entries, folders, next } = await bucket.page({ ...request, after: from });
    const places = [...entries.map(({ key }) => key), ...folders.map((key) => `${key}/`)];
    for (const place of places.toSorted(compareKeys)) yield* order.add(place.slice(base.length));
    if (next !== undefined) {
      const found = await Promise.all(order.awaited.map(async (name) => ({ name, exists: await isFolder(bucket, base + name) }))); // prettier-ignore
      yield* order.settle(found.filter(({ exists }) => exists).map(({ name }) => name));
    }
    from = next;
  }
  yield* order.settle([]);
}

/** Puts names that come in the order of places, where a folder has a `/` at its end, into the order of names. */
class NameOrder {
  readonly #after: string;
  /** Names that have come and wait for folders that belong before them. */
  #held: string[] = [];
  /** Folders that may still come although names that belong behind them have come. */
  #awaited: string[] = [];
  /** Names whose place as a folder has not come yet, and that need not be looked at again. */
  #settled: string[] = [];

  constructor(after: string) {
    this.#after = after;
  }

  get awaited(): readonly string[] {
    return this.#awaited;
  }

  /** Takes the next place, and answers the names that can't be preceded by anything any more. */
  add(place: string): readonly string[] {
    this.#settled = this.#settled.filter((name) => compareKeys(`${name}/`, place) >= 0);
    this.#awaited = this.#awaited.filter((name) => compareKeys(`${name}/`, place) > 0);
    const isObject = !place.endsWith("/");
    const name = isObject ? place : place.slice(0, -1);
    if (compareKeys(name, this.#after) > 0 && !this.#settled.includes(name)) {
      this.#held.push(name);
      for (const before of foldersBefore(name)) this.#await(before);
      if (isObject) this.#settled.push(name);
    }
    return this.#awaited.length > 0 ? [] : this.#release();
  }

  /** Takes that of the folders that may still come `present` do, and no others. Answers all that was held. */
  settle(present: readonly string[]): readonly string[] {
    this.#settled.push(...this.#awaited);
    this.#held.push(...present);
    this.#awaited = [];
    return this.#release();
  }

  #await(name: string): void {
    const isKnown = this.#settled.includes(name) || this.#awaited.includes(name);
    if (!isKnown && compareKeys(name, this.#after) > 0) this.#awaited.push(name);
  }

  #release(): readonly string[] {
    const released = this.#held.length > 1 ? this.#held.toSorted(compareKeys) : this.#held;
    this.#held = [];
    return released;
  }
}

/** The folders that come behind `name` in the order of places, and before it in that of names. */
function foldersBefore(name: string): readonly string[] {
  const folders: string[] = [];
  for (let index = 1; index < name.length; index++) {
    if (name.charAt(index) < "/") folders.push(name.slice(0, index));
  }
  return folders;
}

async function isFolder(bucket: Pages, key: string): Promise<boolean> {
  const { entries } = await bucket.page({ prefix: folder(key), after: "", folded: false, limit: 1 });
  return entries.length > 0;
}

function folder(key: string): string {
  return key === "" ? "" : `${key}/`;
}
