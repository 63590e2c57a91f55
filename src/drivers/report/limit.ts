/** Lets `count` through in any stretch of `seconds`. `now` counts milliseconds and never goes back. */
export class Limit {
  readonly #count: number;
  readonly #milliseconds: number;
  readonly #now: () => number;
  /** When the last `count` were let through, oldest first. */
  readonly #times: number[] = [];

  constructor(count: number, seconds: number, now: () => number = () => performance.now()) {
    this.#count = count;
    this.#milliseconds = seconds * 1000;
    this.#now = now;
  }

  /** Whether one more may pass now; if so, it is counted. */
  take(): boolean {
    const now = this.#now();
    const oldest = this.#times[0];
    if (this.#times.length >= this.#count) {
      if (oldest === undefined || now - oldest < this.#milliseconds) return false;
      this.#times.shift();
    }
    this.#times.push(now);
    return true;
  }
}
