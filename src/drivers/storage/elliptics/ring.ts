import type { Backend } from "./structures.ts";

/** A part of the ring, which begins at `id`. */
export interface Place<Owner> {
  readonly id: Buffer;
  readonly owner: Owner;
  readonly backend: number;
}

/** Who owns which part of the ring of each group, as far as its owners have told. */
export class Ring<Owner> {
  readonly #backends = new Map<Owner, Map<number, Backend>>();
  #places: ReadonlyMap<number, readonly Place<Owner>[]> | undefined;

  /** What the owner has instead of all that it had. */
  replace(owner: Owner, backends: readonly Backend[]): void {
    this.#backends.set(owner, new Map());
    this.update(owner, backends);
  }

  /** What the owner has got, or has no longer. */
  update(owner: Owner, changes: readonly Backend[]): void {
    const known = this.#backends.get(owner) ?? new Map<number, Backend>();
    this.#backends.set(owner, known);
    for (const change of changes) {
      if (change.isGone) known.delete(change.backend);
      else known.set(change.backend, change);
    }
    this.#places = undefined;
  }

  /**
   * The places that `id` may be at: the last part that begins at or before it, or else the very last. There are several
   * where owners say the same, as one does that is known by two addresses. None where nobody has the group.
   */
  find(group: number, id: Buffer): readonly Place<Owner>[] {
    this.#places ??= this.#sorted();
    const places = this.#places.get(group) ?? [];
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const place = places[middle];
      if (place && Buffer.compare(place.id, id) <= 0) low = middle + 1;
      else high = middle;
    }
    const end = low === 0 ? places.length : low;
    const last = places[end - 1];
    let start = end;
    while (last && places[start - 1]?.id.equals(last.id)) start--;
    return places.slice(start, end);
  }

  #sorted(): ReadonlyMap<number, readonly Place<Owner>[]> {
    const places = new Map<number, Place<Owner>[]>();
    for (const [owner, backends] of this.#backends) {
      for (const { backend, group, ids } of backends.values()) {
        const ofGroup = places.get(group) ?? [];
        for (const id of ids) ofGroup.push({ id, owner, backend });
        places.set(group, ofGroup);
      }
    }
    for (const ofGroup of places.values()) ofGroup.sort((a, b) => Buffer.compare(a.id, b.id));
    return places;
  }
}
