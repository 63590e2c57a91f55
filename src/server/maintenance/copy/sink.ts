import { setTimeout as sleep } from "node:timers/promises";
import type { StorageDriver } from "../../../drivers/storage/driver.ts";
import { DriverError } from "../../../drivers/storage/errors.ts";
import { SharedRuns } from "../../registry/bridge/shared-runs.ts";
import { differs, digestOf, digestParts, Hashing, type Digest } from "../../registry/digest.ts";
import { Documents } from "../../registry/documents.ts";
import { uploadKey } from "../../registry/paths.ts";

/** Begins to read an object of the source; may be called again when it has to be read again. */
export type Opening = () => AsyncIterable<Uint8Array>;

/** Whether bytes are what they should be; need not read all of them. */
export type Check = (bytes: AsyncIterable<Uint8Array>) => Promise<boolean>;

/** What takes what is copied: the target, or nobody when it is only counted. */
export interface CopySink {
  document(key: string, content: string | Uint8Array): Promise<void>;
  /** Content of `size` bytes. What `open` throws, also at its end, passes through, and nothing is kept then. */
  content(key: string, size: number, open: Opening): Promise<void>;
  /**
   * Content that nothing vouches for while it passes: it is read back before it gets its name. Rejects with DIGEST_INVALID
   * when it was something else then, or `isRight` says so.
   */
  contentReadBack(key: string, size: number, open: Opening, isRight: Check | undefined): Promise<void>;
  /** Whether the object of the target is what it should be. */
  isRight(key: string, size: number, check: Check): Promise<boolean>;
  /** Changes what the target has of its own, so that it goes with what is copied. */
  merge(change: () => Promise<unknown>): Promise<void>;
}

/** How content is copied, and who is told. */
export interface SinkOptions {
  /** So many objects at the same time, but for small documents. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Told of bytes as they pass; of less than nothing when they have to pass again. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * Of objects of more bytes fewer pass at the same time: what is read and written of each fills the memory, and more of them
 * are no faster.
 */
const large = 8 * 1_048_576;
const largeAtOnce = 3;
/** Content is tried so often when a storage fails in the middle of it; what is between, the driver's wrappers try again. */
const attempts = 4;
/** Milliseconds before the second try; each later wait is twice as long. */
const delay = 250;

/** Keeps all in the target. */
export class StoringSink implements CopySink {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #options: SinkOptions;
  readonly #runs: SharedRuns<void>;
  readonly #largeRuns = new SharedRuns<void>({ atOnce: largeAtOnce });

  constructor(driver: StorageDriver, options: SinkOptions) {
    this.#driver = driver;
    this.#documents = new Documents(driver);
    this.#options = options;
    this.#runs = new SharedRuns({ atOnce: options.jobs });
  }

  async document(key: string, content: string | Uint8Array): Promise<void> {
    this.#options.signal.throwIfAborted();
    await this.#documents.write(key, content);
  }

  async content(key: string, size: number, open: Opening): Promise<void> {
    await this.#inTurn(key, size, async () => {
      await this.#tried(async (watched) => await this.#driver.write(key, watched(open()), size));
    });
  }

  async contentReadBack(key: string, size: number, open: Opening, isRight: Check | undefined): Promise<void> {
    await this.#inTurn(key, size, async () => {
      // Always the same one, so that a copy which goes on leaves nothing of the one that was killed.
      const staged = uploadKey(digestParts(digestOf(Buffer.from(key))).hex);
      await this.#tried(async (watched) => {
        const written = new Hashing();
        try {
          await this.#driver.write(staged, written.through(watched(open())), size);
          await this.#requireRight(staged, written.digest(), isRight);
          await this.#driver.move(staged, key);
        } catch (error) {
          await this.#driver.delete(staged).catch(() => undefined);
          throw error;
        }
      });
    });
  }

  async #requireRight(staged: string, digest: Digest, isRight: Check | undefined): Promise<void> {
    const hashing = new Hashing();
    const bytes = hashing.through(await this.#read(staged));
    try {
      const isFound = await (isRight?.(withoutEnding(bytes)) ?? true);
      await drained(bytes, this.#options.signal);
      const found = hashing.digest();
      if (!isFound || found !== digest) throw differs(found);
    } finally {
      await bytes.return(undefined);
    }
  }

  async isRight(key: string, size: number, check: Check): Promise<boolean> {
    let right = false;
    await this.#inTurn(`reading ${key}`, size, async () => {
      await this.#tried(async (watched) => {
        right = await check(watched(await this.#read(key)));
      });
    });
    return right;
  }

  async merge(change: () => Promise<unknown>): Promise<void> {
    this.#options.signal.throwIfAborted();
    await change();
  }

  /** A large one takes the place of a small one only when its turn among the large ones has come. */
  async #inTurn(name: string, size: number, work: () => Promise<void>): Promise<void> {
    const run = async (): Promise<void> => {
      await this.#runs.run(name, work);
    };
    await (size > large ? this.#largeRuns.run(name, run) : run());
  }

  async #read(key: string): Promise<AsyncIterable<Uint8Array>> {
    return (await this.#driver.read(key)) as AsyncIterable<Uint8Array>;
  }

  /** Does the work again when a storage does not answer in the middle of it; `watched` is to be put around what is read. */
  async #tried(
    work: (watched: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>) => Promise<unknown>,
  ): Promise<void> {
    const { signal, onBytes } = this.#options;
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      let passed = 0;
      try {
        await work((source) =>
          this.#watched(source, (bytes) => {
            passed += bytes;
          }),
        );
        return;
      } catch (error) {
        signal.throwIfAborted();
        onBytes(-passed);
        if (attempt === attempts || !(error instanceof DriverError) || error.code !== "UNAVAILABLE") throw error;
        await sleep(delay * 2 ** (attempt - 1), undefined, { signal });
      }
    }
  }

  async *#watched(source: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
    const { signal, onBytes } = this.#options;
    for await (const chunk of source) {
      signal.throwIfAborted();
      count(chunk.length);
      onBytes(chunk.length);
      yield chunk;
    }
  }
}

/** Whether bytes have the digest. */
export function hasDigest(digest: Digest): Check {
  return async (bytes) => {
    const hashing = new Hashing(digestParts(digest).algorithm);
    await drained(hashing.through(bytes));
    return hashing.digest() === digest;
  };
}

/** Reads all that is left. */
export async function drained(bytes: AsyncGenerator<Uint8Array>, signal?: AbortSignal): Promise<void> {
  while (!(await bytes.next()).done) signal?.throwIfAborted();
}

/** For a reader that may stop before the end, where another goes on. */
function withoutEnding(bytes: AsyncGenerator<Uint8Array>): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => ({ next: async () => await bytes.next() }) };
}

/** Keeps nothing, and reads nothing but documents: for who wants to know how much there is to do. */
export class CountingSink implements CopySink {
  readonly #options: Pick<SinkOptions, "signal" | "onBytes">;

  constructor(options: Pick<SinkOptions, "signal" | "onBytes">) {
    this.#options = options;
  }

  async document(): Promise<void> {
    await this.#count(0);
  }

  async content(_key: string, size: number): Promise<void> {
    await this.#count(size);
  }

  async contentReadBack(_key: string, size: number): Promise<void> {
    await this.#count(size);
  }

  async isRight(_key: string, size: number): Promise<boolean> {
    await this.#count(size);
    return true;
  }

  async merge(): Promise<void> {
    await this.#count(0);
  }

  async #count(bytes: number): Promise<void> {
    await Promise.resolve();
    this.#options.signal.throwIfAborted();
    this.#options.onBytes(bytes);
  }
}
