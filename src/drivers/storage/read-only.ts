import type { Readable } from "node:stream";
import type { ByteRange, Entry, RedirectOptions, Stat, StorageDriver } from "./driver.ts";
import { DriverError } from "./errors.ts";

/** `driver` for those who only look: what would change the store rejects with UNAVAILABLE, and is not begun. */
export function readOnly(driver: StorageDriver): StorageDriver {
  return new ReadOnlyStorage(driver);
}

class ReadOnlyStorage implements StorageDriver {
  readonly name: string;
  readonly features: StorageDriver["features"];
  readonly #driver: StorageDriver;

  constructor(driver: StorageDriver) {
    this.name = driver.name;
    this.features = driver.features;
    this.#driver = driver;
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    return await this.#driver.read(key, range);
  }

  async stat(key: string): Promise<Stat> {
    return await this.#driver.stat(key);
  }

  list(prefix: string, after?: string): AsyncIterable<Entry> {
    return this.#driver.list(prefix, after);
  }

  children(prefix: string, after?: string): AsyncIterable<string> {
    return this.#driver.children(prefix, after);
  }

  async write(key: string): Promise<never> {
    return await refused(key);
  }

  async move(_from: string, to: string): Promise<never> {
    return await refused(to);
  }

  async copy(_from: string, to: string): Promise<never> {
    return await refused(to);
  }

  async link(_from: string, to: string): Promise<never> {
    return await refused(to);
  }

  async delete(key: string): Promise<never> {
    return await refused(key);
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    return await this.#driver.redirectUrl(key, options);
  }

  localPath(key: string): string | undefined {
    return this.#driver.localPath(key);
  }

  /** Some drivers write to find out: that something can be listed is proof enough for a reader. */
  async ping(): Promise<void> {
    for await (const name of this.#driver.children("")) if (name !== "") return;
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }
}

async function refused(key: string): Promise<never> {
  await Promise.resolve();
  throw new DriverError("UNAVAILABLE", `${key} can't be written: the store was opened to be read`);
}
