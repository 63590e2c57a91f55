/** So many works may wait; what comes then is done when somebody asks for it. */
const mostWaiting = 1_000;

/** Does works one after another beside the serving, each name once; nobody waits for them. */
export class Background {
  readonly #waiting = new Map<string, () => Promise<unknown>>();
  readonly #onError: (error: unknown, name: string) => void;
  #running: Promise<void> | undefined;
  #isClosed = false;

  /** `onError` is told what a work failed with, and must not throw. */
  constructor(onError: (error: unknown, name: string) => void) {
    this.#onError = onError;
  }

  /** Does the work some time, unless too many wait or this is closed. */
  add(name: string, work: () => Promise<unknown>): void {
    if (this.#isClosed || this.#waiting.size >= mostWaiting) return;
    this.#waiting.set(name, work);
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** Gives up what waits, and waits for what has begun. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting.clear();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let next = this.#first(); next; next = this.#first()) {
      const [name, work] = next;
      this.#waiting.delete(name);
      try {
        await work();
      } catch (error) {
        if (!this.#isClosed) this.#onError(error, name);
      }
    }
  }

  #first(): readonly [string, () => Promise<unknown>] | undefined {
    return this.#waiting.entries().next().value;
  }
}
