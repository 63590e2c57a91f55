import type { Target } from "./workload.ts";

/** What `prepare` found out about each target, for its samples. */
export class PerTarget<T> {
  readonly #values = new WeakMap<Target, T>();

  set(target: Target, value: T): void {
    this.#values.set(target, value);
  }

  /** Fails when nothing was set: samples come after `prepare`. */
  of(target: Target): T {
    const value = this.#values.get(target);
    if (value === undefined) throw new Error(`${target.contestant.name} was not prepared`);
    return value;
  }

  has(target: Target): boolean {
    return this.#values.has(target);
  }
}
