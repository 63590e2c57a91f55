import type { Readable } from "node:stream";
import type { Append, ByteRange, Entry, RedirectOptions, Stat, StorageDriver, WriteInSteps } from "./driver.ts";
import { watchSource, watchStream } from "./watched-stream.ts";

/** How much a backend is asked to do at once. */
export interface Limit {
  /** So many operations; a stream that is being read counts until it is closed. */
  readonly atOnce: number;
  /**
   * Milliseconds. An operation that waits longer for its caller (a reader that doesn't read, a source that doesn't
   * yield) lends its place to the next one, and takes it back when it goes on, even if that is one too many for a
   * while.
   */
  readonly patience?: number;
}

/**
 * Lets so many operations through at once; the others wait in turn. Can't deadlock: a caller may hold one operation
 * while it waits for another (a write whose source reads from the same store), but whoever waits for a caller lends its
 * place.
 */
export function limited(driver: StorageDriver, limit: Limit): StorageDriver {
  return new LimitedStorage(driver, limit);
}

class LimitedStorage implements StorageDriver {
  readonly name: string;
  readonly features: StorageDriver["features"];
  readonly append?: Append;
  readonly writeInSteps?: WriteInSteps;
  readonly #driver: StorageDriver;
  readonly #places: Places;

  constructor(driver: StorageDriver, { atOnce, patience = 250 }: Limit) {
    this.name = driver.name;
    this.features = driver.features;
    this.#driver = driver;
    this.#places = new Places(atOnce, patience);
    const append = driver.append?.bind(driver);
    if (append) {
      this.append = async (key, size, source) => {
        await this.#fed(source, (watched) => append(key, size, watched));
      };
    }
    const writeInSteps = driver.writeInSteps?.bind(driver);
    if (writeInSteps) this.writeInSteps = async (steps) => await this.#within(() => writeInSteps(steps));
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const place = await this.#places.take();
    try {
      const stream = await this.#driver.read(key, range);
      const watched = watchStream(stream, {
        asked: () => {
          place.resume();
        },
        passed: () => {
          place.pause();
        },
        closed: () => {
          place.leave();
        },
      });
      place.pause();
      return watched;
    } catch (error) {
      place.leave();
      throw error;
    }
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    return await this.#fed(source, (watched) => this.#driver.write(key, watched, size));
  }

  async stat(key: string): Promise<Stat> {
    return await this.#within(() => this.#driver.stat(key));
  }

  async *list(prefix: string, after?: string): AsyncGenerator<Entry> {
    yield* this.#eachWithin(this.#driver.list(prefix, after));
  }

  async *children(prefix: string, after?: string): AsyncGenerator<string> {
    yield* this.#eachWithin(this.#driver.children(prefix, after));
  }

  async move(from: string, to: string): Promise<void> {
    await this.#within(() => this.#driver.move(from, to));
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#within(() => this.#driver.copy(from, to));
  }

  async link(from: string, to: string): Promise<void> {
    await this.#within(() => this.#driver.link(from, to));
  }

  async delete(key: string): Promise<void> {
    await this.#within(() => this.#driver.delete(key));
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    return await this.#within(() => this.#driver.redirectUrl(key, options));
  }

  localPath(key: string): string | undefined {
    return this.#driver.localPath(key);
  }

  /** Not limited: whether the backend answers must be known just when it is busy. */
  async ping(): Promise<void> {
    await this.#driver.ping();
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }

  /** Has a place while the backend takes what `source` has given, not while the source is waited for. */
  async #fed<T>(
    source: AsyncIterable<Uint8Array>,
    work: (watched: AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const place = await this.#places.take();
    const watch = {
      asked: () => {
        place.pause();
      },
      passed: () => {
        place.resume();
      },
    };
    try {
      return await work(watchSource(source, watch));
    } finally {
      place.leave();
    }
  }

  async #within<T>(work: () => Promise<T>): Promise<T> {
    const place = await this.#places.take();
    try {
      return await work();
    } finally {
      place.leave();
    }
  }

  /** A listing has a place while the backend looks for the next item, not while the caller handles it. */
  async *#eachWithin<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#within(() => iterator.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
}

class Places {
  readonly #patience: number;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number, patience: number) {
    this.#free = count;
    this.#patience = patience;
  }

  async take(): Promise<Place> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return new Place(this, this.#patience);
  }

  giveBack(): void {
    this.#free += 1;
    if (this.#free <= 0) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#free -= 1;
    next();
  }

  takeBack(): void {
    this.#free -= 1;
  }
}

class Place {
  readonly #places: Places;
  readonly #patience: number;
  #timer: NodeJS.Timeout | undefined;
  #state: "held" | "lent" | "left" = "held";

  constructor(places: Places, patience: number) {
    this.#places = places;
    this.#patience = patience;
  }

  /** From now on it is the caller's turn. */
  pause(): void {
    if (this.#state !== "held") return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#state = "lent";
      this.#places.giveBack();
    }, this.#patience);
  }

  /** From now on it is the backend's turn. */
  resume(): void {
    this.#stopWaiting();
    if (this.#state !== "lent") return;
    this.#state = "held";
    this.#places.takeBack();
  }

  leave(): void {
    this.#stopWaiting();
    if (this.#state === "held") this.#places.giveBack();
    this.#state = "left";
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
