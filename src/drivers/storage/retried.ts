import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Append, ByteRange, Entry, RedirectOptions, Stat, StorageDriver, WriteInSteps } from "./driver.ts";
import { DriverError } from "./errors.ts";

/** How often, and after how long, an operation is tried again. */
export interface Retries {
  /** Tries in all. */
  readonly attempts?: number;
  /** Milliseconds before the second try, at most; each later wait may be twice as long, up to `longest`. */
  readonly delay?: number;
  readonly longest?: number;
  /** Waits; tests hand in one that doesn't. */
  readonly wait?: (milliseconds: number) => Promise<unknown>;
}

/**
 * Tries again what rejected with UNAVAILABLE and does no harm when it is done twice: read (until the stream is open,
 * not after), stat, copy, link, delete, writes in steps, and listings, which go on behind the last item. A write is tried again only as long
 * as nothing was taken from its source, since what was taken can't be had twice. A move is not: when its answer was
 * lost, the second would find nothing to move.
 */
export function retried(driver: StorageDriver, retries: Retries = {}): StorageDriver {
  return new RetriedStorage(driver, retries);
}

class RetriedStorage implements StorageDriver {
  readonly name: string;
  readonly features: StorageDriver["features"];
  readonly append?: Append;
  readonly writeInSteps?: WriteInSteps;
  readonly #driver: StorageDriver;
  readonly #retries: Required<Retries>;

  constructor(driver: StorageDriver, { attempts = 4, delay = 100, longest = 2_000, wait = sleep }: Retries) {
    this.name = driver.name;
    this.features = driver.features;
    this.#driver = driver;
    this.#retries = { attempts, delay, longest, wait };
    if (driver.append) this.append = driver.append.bind(driver);
    const writeInSteps = driver.writeInSteps?.bind(driver);
    if (writeInSteps) this.writeInSteps = async (steps) => await this.#retry(() => writeInSteps(steps));
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    return await this.#retry(() => this.#driver.read(key, range));
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    let taken = false;
    // The source's own iteration begins with the first chunk that is taken: a driver that fails earlier leaves it as it
    // was.
    const watched = async function* (): AsyncGenerator<Uint8Array> {
      taken = true;
      yield* source;
    };
    return await this.#retry(
      () => this.#driver.write(key, watched(), size),
      () => !taken,
    );
  }

  async stat(key: string): Promise<Stat> {
    return await this.#retry(() => this.#driver.stat(key));
  }

  async *list(prefix: string, after?: string): AsyncGenerator<Entry> {
    yield* this.#resumed((last) => this.#driver.list(prefix, last?.key ?? after));
  }

  async *children(prefix: string, after?: string): AsyncGenerator<string> {
    yield* this.#resumed((last) => this.#driver.children(prefix, last ?? after));
  }

  async move(from: string, to: string): Promise<void> {
    await this.#driver.move(from, to);
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#retry(() => this.#driver.copy(from, to));
  }

  async link(from: string, to: string): Promise<void> {
    await this.#retry(() => this.#driver.link(from, to));
  }

  async delete(key: string): Promise<void> {
    await this.#retry(() => this.#driver.delete(key));
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    return await this.#retry(() => this.#driver.redirectUrl(key, options));
  }

  localPath(key: string): string | undefined {
    return this.#driver.localPath(key);
  }

  /** Tried once: it is asked whether the backend answers now. */
  async ping(): Promise<void> {
    await this.#driver.ping();
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }

  async #retry<T>(work: () => Promise<T>, worthwhile: () => boolean = () => true): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (attempt === this.#retries.attempts || !isPassing(error) || !worthwhile()) throw error;
        await this.#pause(attempt);
      }
    }
  }

  async *#resumed<T>(open: (last: T | undefined) => AsyncIterable<T>): AsyncGenerator<T> {
    let last: T | undefined;
    for (let attempt = 1; ; attempt++) {
      const before = last;
      try {
        for await (const item of open(last)) {
          last = item;
          yield item;
        }
        return;
      } catch (error) {
        // Whoever yields something new has come back: the count begins anew.
        if (last !== before) attempt = 1;
        if (attempt === this.#retries.attempts || !isPassing(error)) throw error;
        await this.#pause(attempt);
      }
    }
  }

  /** Anything up to the full time, so that those who failed together don't come back together. */
  async #pause(attempt: number): Promise<void> {
    const { delay, longest, wait } = this.#retries;
    await wait(Math.random() * Math.min(longest, delay * 2 ** (attempt - 1)));
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof DriverError && error.code === "UNAVAILABLE";
}
