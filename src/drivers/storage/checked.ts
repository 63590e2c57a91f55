import type { Readable } from "node:stream";
import type { Append, ByteRange, Entry, RedirectOptions, Stat, StorageDriver, WriteInSteps } from "./driver.ts";
import { DriverError } from "./errors.ts";

/** What file systems allow for one name; object stores allow more. */
const longestComponent = 255;

/** Lets only keys through that every driver can store; the others reject with INVALID_KEY. */
export function checked(driver: StorageDriver): StorageDriver {
  return new CheckedStorage(driver);
}

/** Throws INVALID_KEY, saying why, when `key` is not one that every driver can store. */
export function checkKey(key: string): void {
  const fault = key.split("/").map(faultOfComponent).find(Boolean) ?? faultOfText(key);
  if (fault) throw new DriverError("INVALID_KEY", `${JSON.stringify(key)} is no key: ${fault}`);
}

function faultOfComponent(component: string): string | undefined {
  if (component === "") return "a component is empty";
  if (component === "." || component === "..") return `a component is "${component}"`;
  if (Buffer.byteLength(component) > longestComponent) return `a component is longer than ${longestComponent} bytes`;
  return undefined;
}

function faultOfText(key: string): string | undefined {
  if (key.includes("\0")) return "it holds a NUL";
  return /\p{Surrogate}/u.test(key) ? "it is no Unicode text" : undefined;
}

function checkPrefix(prefix: string): void {
  if (prefix !== "") checkKey(prefix);
}

class CheckedStorage implements StorageDriver {
  readonly #driver: StorageDriver;
  readonly name: string;
  readonly features: StorageDriver["features"];
  readonly append?: Append;
  readonly writeInSteps?: WriteInSteps;

  constructor(driver: StorageDriver) {
    this.#driver = driver;
    this.name = driver.name;
    this.features = driver.features;
    const append = driver.append?.bind(driver);
    if (append) {
      this.append = async (key, size, source) => {
        checkKey(key);
        await append(key, size, source);
      };
    }
    const writeInSteps = driver.writeInSteps?.bind(driver);
    if (writeInSteps) {
      this.writeInSteps = async (steps) => {
        for (const { key } of steps.flat()) checkKey(key);
        return await writeInSteps(steps);
      };
    }
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    checkKey(key);
    return await this.#driver.read(key, range);
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    checkKey(key);
    return await this.#driver.write(key, source, size);
  }

  async stat(key: string): Promise<Stat> {
    checkKey(key);
    return await this.#driver.stat(key);
  }

  async *list(prefix: string, after?: string): AsyncGenerator<Entry> {
    checkPrefix(prefix);
    yield* this.#driver.list(prefix, after);
  }

  async *children(prefix: string, after?: string): AsyncGenerator<string> {
    checkPrefix(prefix);
    yield* this.#driver.children(prefix, after);
  }

  async move(from: string, to: string): Promise<void> {
    checkKey(from);
    checkKey(to);
    await this.#driver.move(from, to);
  }

  async copy(from: string, to: string): Promise<void> {
    checkKey(from);
    checkKey(to);
    await this.#driver.copy(from, to);
  }

  async link(from: string, to: string): Promise<void> {
    checkKey(from);
    checkKey(to);
    await this.#driver.link(from, to);
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.#driver.delete(key);
  }

  async redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    checkKey(key);
    return await this.#driver.redirectUrl(key, options);
  }

  localPath(key: string): string | undefined {
    checkKey(key);
    return this.#driver.localPath(key);
  }

  async ping(): Promise<void> {
    await this.#driver.ping();
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }
}
