/**
 * Runs work under a name once for all who ask for it at the same time, and at most so many works at once; others wait in
 * the order in which they came.
 */
export class SharedRuns<T> {
  readonly #atOnce: number;
  readonly #running = new Map<string, Promise<T>>();
  readonly #waiting: (() => void)[] = [];
  #active = 0;

  constructor({ atOnce }: { readonly atOnce: number }) {
    this.#atOnce = atOnce;
  }

  async run(name: string, work: () => Promise<T>): Promise<T> {
    let run = this.#running.get(name);
    if (!run) {
      run = this.#inTurn(work).finally(() => this.#running.delete(name));
      this.#running.set(name, run);
    }
    return await run;
  }

  async #inTurn(work: () => Promise<T>): Promise<T> {
    if (this.#active < this.#atOnce) this.#active += 1;
    // Whoever ends hands its turn on.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#active -= 1;
    }
  }
}
