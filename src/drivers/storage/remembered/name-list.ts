import { compareKeys } from "../key-order.ts";

/** Some names in order; `last` is where the next part begins, undefined at the end. */
export interface Part {
  readonly names: readonly string[];
  readonly last: string | undefined;
}

interface Found {
  readonly name: string;
  readonly isThere: boolean;
}

/**
 * The names in one folder. What changes while it is remembered makes single names uncertain; whether those are there is
 * asked when a listing reaches them.
 */
export class NameList {
  #names: string[] | undefined;
  #isTooLong = false;
  /** Each with a mark of its own, so that it is noticed when it becomes uncertain again. */
  readonly #uncertain = new Map<string, symbol>();
  /** By `performance.now()`, from the beginning of the load. */
  readonly since = performance.now();
  /** Changes may have been missed: nothing may be answered from it. */
  isVoid = false;

  /** What it takes of the memory for names; a list by itself takes as much as some names. */
  get weight(): number {
    return 8 + (this.#names?.length ?? 0) + 2 * this.#uncertain.size;
  }

  /** It only says that the names are too many to be remembered. */
  get isTooLong(): boolean {
    return this.#isTooLong;
  }

  /** How many names are uncertain. */
  get doubts(): number {
    return this.#uncertain.size;
  }

  /** `names` are in order; undefined are too many. What changed since the beginning stays uncertain. */
  load(names: string[] | undefined): void {
    this.#names = names;
    this.#isTooLong = names === undefined;
    if (this.#isTooLong) this.#uncertain.clear();
  }

  /** Something at or below the name was written: it is there, unless something else is going on with it. */
  written(name: string): void {
    if (this.#names && !this.#uncertain.has(name) && this.#names[indexBeyond(this.#names, name) - 1] === name) return;
    this.changed(name);
  }

  /** Something at or below the name has changed. */
  changed(name: string): void {
    if (!this.#isTooLong) this.#uncertain.set(name, Symbol(name));
  }

  /** At most `count` of the names beyond `after`; `holds` tells whether an uncertain one is there. */
  async part(after: string, count: number, holds: (name: string) => Promise<boolean>): Promise<Part> {
    const names = this.#names ?? [];
    const start = indexBeyond(names, after);
    if (this.#uncertain.size === 0) return partOf(names.slice(start, start + count), count);
    const doubtful = [...this.#uncertain.keys()].filter((name) => compareKeys(name, after) > 0).sort(compareKeys);
    const candidates = [...new Set([...names.slice(start, start + count), ...doubtful.slice(0, count)])];
    const reached = partOf(candidates.sort(compareKeys).slice(0, count), count);
    const seen = await Promise.all(
      reached.names.filter((name) => this.#uncertain.has(name)).map(async (name) => await this.#settle(name, holds)),
    );
    const missing = new Set(seen.filter(({ isThere }) => !isThere).map(({ name }) => name));
    return { names: reached.names.filter((name) => !missing.has(name)), last: reached.last };
  }

  /** Asks whether the name is there, and puts it in or takes it out unless it has become uncertain again. */
  async #settle(name: string, holds: (name: string) => Promise<boolean>): Promise<Found> {
    const mark = this.#uncertain.get(name);
    const isThere = await holds(name);
    if (this.#names && this.#uncertain.get(name) === mark) {
      this.#uncertain.delete(name);
      const index = indexBeyond(this.#names, name);
      const isListed = this.#names[index - 1] === name;
      if (isThere && !isListed) this.#names.splice(index, 0, name);
      if (!isThere && isListed) this.#names.splice(index - 1, 1);
    }
    return { name, isThere };
  }
}

function partOf(names: readonly string[], count: number): Part {
  return { names, last: names.length === count ? names.at(-1) : undefined };
}

/** Where the first name beyond `after` stands. */
function indexBeyond(names: readonly string[], after: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(names[middle] ?? "", after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
