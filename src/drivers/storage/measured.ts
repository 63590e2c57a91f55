import type { Readable } from "node:stream";
import type { Append, ByteRange, Entry, RedirectOptions, Stat, StorageDriver, WriteInSteps } from "./driver.ts";
import { watchSource, watchStream } from "./watched-stream.ts";

/** What is measured: every operation that asks the backend. */
export type StorageOperation =
  "read" | "write" | "stat" | "list" | "children" | "move" | "copy" | "link" | "delete" | "redirectUrl" | "ping";

/** How one operation went. */
export interface Measurement {
  /**
   * Time that the backend took: what the reader of a stream, the source of a write or the taker of a listing took is
   * not in it.
   */
  readonly milliseconds: number;
  /** Content read or written, also when it then failed. */
  readonly bytes: number;
  readonly error?: unknown;
}

/** Called once for each operation when it is over; a read is over when its stream is closed. Must not throw. */
export type MeasurementListener = (operation: StorageOperation, measurement: Measurement) => void;

/** Tells `listener` of every operation. */
export function measured(driver: StorageDriver, listener: MeasurementListener): StorageDriver {
  return new MeasuredStorage(driver, listener);
}

class MeasuredStorage implements StorageDriver {
  readonly name: string;
  readonly features: StorageDriver["features"];
  readonly append?: Append;
  readonly writeInSteps?: WriteInSteps;
  readonly #driver: StorageDriver;
  readonly #listener: MeasurementListener;

  constructor(driver: StorageDriver, listener: MeasurementListener) {
    this.name = driver.name;
    this.features = driver.features;
    this.#driver = driver;
    this.#listener = listener;
    const append = driver.append?.bind(driver);
    if (append) {
      this.append = async (key, size, source) => {
        await this.#fed(source, (watched) => append(key, size, watched));
      };
    }
    const writeInSteps = driver.writeInSteps?.bind(driver);
    if (writeInSteps) {
      this.writeInSteps = async (steps) => {
        const bytes = steps.flat().reduce((sum, object) => sum + object.bytes.length, 0);
        return await this.#measure("write", () => writeInSteps(steps), new Clock(), () => bytes); // prettier-ignore
      };
    }
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const clock = new Clock();
    let bytes = 0;
    try {
      const stream = await this.#driver.read(key, range);
      clock.stop();
      return watchStream(stream, {
        asked: () => {
          clock.start();
        },
        passed: (length) => {
          clock.stop();
          bytes += length;
        },
        closed: (error) => {
          this.#report("read", clock, bytes, error);
        },
      });
    } catch (error) {
      this.#report("read", clock, bytes, error);
      throw error;
    }
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    return await this.#fed(source, (watched) => this.#driver.write(key, watched, size));
  }

  async stat(key: string): Promise<Stat> {
    return await this.#measure("stat", () => this.#driver.stat(key));
  }

  async *list(prefix: string, after?: string): AsyncGenerator<Entry> {
    yield* this.#measureItems("list", this.#driver.list(prefix, after));
  }

  async *children(prefix: string, after?: string): AsyncGenerator<string> {
    yield* this.#measureItems("children", this.#driver.children(prefix, after));
  }

  async move(from: string, to: string): Promise<void> {
    await this.#measure("move", () => this.#driver.move(from, to));
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#measure("copy", () => this.#driver.copy(from, to));
  }

  async link(from: string, to: string): Promise<void> {
    await this.#measure("link", () => this.#driver.link(from, to));
  }

  async delete(key: string): Promise<void> {
    await this.#measure("delete", () => this.#driver.delete(key));
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    return await this.#measure("redirectUrl", () => this.#driver.redirectUrl(key, options));
  }

  localPath(key: string): string | undefined {
    return this.#driver.localPath(key);
  }

  async ping(): Promise<void> {
    await this.#measure("ping", () => this.#driver.ping());
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }

  /** Everything that brings bytes is a write; what its source takes is not counted. */
  async #fed<T>(
    source: AsyncIterable<Uint8Array>,
    work: (watched: AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const clock = new Clock();
    let bytes = 0;
    const watch = {
      asked: () => {
        clock.stop();
      },
      passed: (length: number) => {
        clock.start();
        bytes += length;
      },
    };
    return await this.#measure(
      "write",
      () => work(watchSource(source, watch)),
      clock,
      () => bytes,
    );
  }

  async #measure<T>(
    operation: StorageOperation,
    work: () => Promise<T>,
    clock = new Clock(),
    bytes: () => number = () => 0,
  ): Promise<T> {
    try {
      const result = await work();
      this.#report(operation, clock, bytes());
      return result;
    } catch (error) {
      this.#report(operation, clock, bytes(), error);
      throw error;
    }
  }

  async *#measureItems<T>(operation: StorageOperation, items: AsyncIterable<T>): AsyncGenerator<T> {
    const clock = new Clock();
    let failure: unknown;
    try {
      for await (const item of items) {
        clock.stop();
        yield item;
        clock.start();
      }
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      this.#report(operation, clock, 0, failure);
    }
  }

  #report(operation: StorageOperation, clock: Clock, bytes: number, error?: unknown): void {
    clock.stop();
    this.#listener(operation, { milliseconds: clock.milliseconds, bytes, ...(error !== undefined && { error }) });
  }
}

/** Runs from its making; adds up the time between start and stop. */
class Clock {
  milliseconds = 0;
  #started: number | undefined = performance.now();

  start(): void {
    this.#started ??= performance.now();
  }

  stop(): void {
    if (this.#started !== undefined) this.milliseconds += performance.now() - this.#started;
    this.#started = undefined;
  }
}
