import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { isNotFound } from "../../drivers/storage/errors.ts";
import { sourceOf } from "../../drivers/storage/source-of.ts";

/** A key and what is to be there. */
export type Document = readonly [key: string, content: string | Uint8Array];

/** Small objects, read and written whole. Absence is undefined; every other failure of the driver passes through. */
export class Documents {
  readonly #driver: StorageDriver;

  constructor(driver: StorageDriver) {
    this.#driver = driver;
  }

  /** The first of `keys` that exists. */
  async read(...keys: readonly string[]): Promise<Buffer | undefined> {
    for (const key of keys) {
      try {
        const chunks: Uint8Array[] = [];
        for await (const chunk of await this.#driver.read(key)) chunks.push(chunk as Uint8Array);
        return Buffer.concat(chunks);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    return undefined;
  }

  /** The first of `keys` that exists, parsed; undefined too when it is no JSON (a crash of the Python registry left half files). */
  async readJson(...keys: readonly string[]): Promise<unknown> {
    const bytes = await this.read(...keys);
    return bytes && parseJson(bytes);
  }

  async write(key: string, content: string | Uint8Array): Promise<void> {
    const bytes = bytesOf(content);
    await this.#driver.write(key, sourceOf(bytes), bytes.length);
  }

  /** Writes documents that need no order among each other; settles when each is written or has failed. */
  async writeEach(documents: Iterable<Document>): Promise<void> {
    const writes = Array.from(documents, async ([key, content]) => {
      await this.write(key, content);
    });
    for (const outcome of await Promise.allSettled(writes)) {
      if (outcome.status === "rejected") throw outcome.reason;
    }
  }

  /**
   * Writes documents, those of each step after the steps before; even after a power cut, those of the last step are there
   * only with all others.
   */
  async writeInSteps(steps: readonly (readonly Document[])[]): Promise<void> {
    const wanted = steps.filter((step) => step.length > 0);
    if (this.#driver.writeInSteps) {
      await this.#driver.writeInSteps(
        wanted.map((step) => step.map(([key, content]) => ({ key, bytes: bytesOf(content) }))),
      );
    } else {
      for (const step of wanted) await this.writeEach(step);
    }
  }

  /** Whether one of `keys` exists. */
  async has(...keys: readonly string[]): Promise<boolean> {
    return (await this.size(...keys)) !== undefined;
  }

  /** The size in bytes of the first of `keys` that exists. */
  async size(...keys: readonly string[]): Promise<number | undefined> {
    for (const key of keys) {
      try {
        return (await this.#driver.stat(key)).size;
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    return undefined;
  }

  /** Deletes every one of `keys`; answers whether one was there. */
  async delete(...keys: readonly string[]): Promise<boolean> {
    const existed = await this.has(...keys);
    for (const key of keys) await this.#driver.delete(key);
    return existed;
  }
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? Buffer.from(content) : content;
}

/** The value, or undefined when `bytes` are not UTF-8 or not JSON: a byte order mark is neither skipped here nor by clients. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}

/** Whether `value` is a JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
