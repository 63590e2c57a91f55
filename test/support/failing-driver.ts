import type { Readable } from "node:stream";
import type {
  Append,
  ByteRange,
  Entry,
  RedirectOptions,
  Stat,
  StorageDriver,
} from "../../src/drivers/storage/driver.ts";
import { DriverError } from "../../src/drivers/storage/errors.ts";

/** The operations that `failing` counts. */
export type Operation =
  "read" | "write" | "append" | "stat" | "list" | "children" | "move" | "copy" | "link" | "delete";

/** Which call fails: the `nth` (from 1) of `operation`, or of any; before its effect, or with it done and the answer lost. */
export interface Fault {
  readonly operation?: Operation;
  readonly nth: number;
  readonly when: "before" | "after";
  readonly error?: Error;
}

/** A driver with one fault in it. `calls` counts what the fault counts; `fired` says whether it has happened. */
export interface FailingDriver extends StorageDriver {
  readonly calls: number;
  readonly fired: boolean;
}

/**
 * `driver`, with one call that fails (UNAVAILABLE unless `error` says else) and all others as they are. With an `nth`
 * that is never reached it only counts: run once to learn `calls`, then once for each of them.
 */
export function failing(driver: StorageDriver, fault: Fault): FailingDriver {
  return new Failing(driver, fault);
}

class Failing implements FailingDriver {
  readonly name: string;
  readonly features: StorageDriver["features"];
  readonly append?: Append;
  readonly #driver: StorageDriver;
  readonly #fault: Fault;
  calls = 0;
  fired = false;

  constructor(driver: StorageDriver, fault: Fault) {
    this.name = driver.name;
    this.features = driver.features;
    this.#driver = driver;
    this.#fault = fault;
    const append = driver.append?.bind(driver);
    if (append)
      this.append = async (...args) => {
        await this.#step("append", async () => {
          await append(...args);
        });
      };
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    return await this.#step(
      "read",
      () => this.#driver.read(key, range),
      (stream) => stream.destroy(),
    );
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    return await this.#step("write", () => this.#driver.write(key, source, size));
  }

  async stat(key: string): Promise<Stat> {
    return await this.#step("stat", () => this.#driver.stat(key));
  }

  async *list(prefix: string, after?: string): AsyncGenerator<Entry> {
    yield* this.#yield("list", this.#driver.list(prefix, after));
  }

  async *children(prefix: string, after?: string): AsyncGenerator<string> {
    yield* this.#yield("children", this.#driver.children(prefix, after));
  }

  async move(from: string, to: string): Promise<void> {
    await this.#step("move", () => this.#driver.move(from, to));
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#step("copy", () => this.#driver.copy(from, to));
  }

  async link(from: string, to: string): Promise<void> {
    await this.#step("link", () => this.#driver.link(from, to));
  }

  async delete(key: string): Promise<void> {
    await this.#step("delete", () => this.#driver.delete(key));
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    return await this.#driver.redirectUrl(key, options);
  }

  localPath(key: string): string | undefined {
    return this.#driver.localPath(key);
  }

  async ping(): Promise<void> {
    await this.#driver.ping();
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }

  async #step<T>(operation: Operation, work: () => Promise<T>, discard?: (result: T) => void): Promise<T> {
    const fails = this.#counts(operation);
    if (fails && this.#fault.when === "before") throw this.#fire(operation);
    const result = await work();
    if (!fails) return result;
    discard?.(result);
    throw this.#fire(operation);
  }

  /** A listing has no effect: "after" fails at its end instead of at its start. */
  async *#yield<T>(operation: Operation, items: AsyncIterable<T>): AsyncGenerator<T> {
    const fails = this.#counts(operation);
    if (fails && this.#fault.when === "before") throw this.#fire(operation);
    yield* items;
    if (fails) throw this.#fire(operation);
  }

  #counts(operation: Operation): boolean {
    if (this.#fault.operation !== undefined && this.#fault.operation !== operation) return false;
    this.calls += 1;
    return this.calls === this.#fault.nth;
  }

  #fire(operation: Operation): Error {
    this.fired = true;
    return (
      this.#fault.error ??
      new DriverError(
        "UNAVAILABLE",
        `injected: ${operation} call ${this.#fault.nth} fails ${this.#fault.when} its effect`,
      )
    );
  }
}
