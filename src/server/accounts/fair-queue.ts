/** A bounded queue that many fill at once. They take turns, and whoever has most in it is the first to be turned away. */
export class FairQueue<T extends { readonly lane: string }> {
  readonly #most: number;
  readonly #lanes = new Map<string, T[]>();
  #size = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  /** Puts it at the end of its lane. Answers what has to go because the queue is full: this, or another one. */
  add(item: T): T | undefined {
    const own = this.#lanes.get(item.lane) ?? [];
    let turnedAway: T | undefined;
    if (this.#size >= this.#most) {
      const longest = [...this.#lanes.values()].reduce((a, b) => (b.length > a.length ? b : a), own);
      if (longest.length <= own.length + 1) return item;
      turnedAway = longest.pop();
      this.#size--;
    }
    own.push(item);
    this.#lanes.set(item.lane, own);
    this.#size++;
    return turnedAway;
  }

  /** The next one, of each lane in turn. */
  next(): T | undefined {
    for (const [lane, items] of this.#lanes) {
      const item = items.shift();
      this.#lanes.delete(lane);
      if (items.length > 0) this.#lanes.set(lane, items);
      if (item === undefined) continue;
      this.#size--;
      return item;
    }
    return undefined;
  }
}
