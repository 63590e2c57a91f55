import { readFile, stat } from "node:fs/promises";

/** How a file is kept in mind. */
export interface WatchedFileOptions<T> {
  readonly path: string;
  /** Throws when the text will not do. */
  readonly parse: (text: string) => T;
  /** Told once of every version of the file that can't be used. */
  readonly onFault: (error: Error) => void;
  /** Milliseconds during which what was read counts without another look. */
  readonly interval?: number;
}

/**
 * What a file says now: it is looked at when somebody asks, and read again when it has changed in place or was replaced.
 * While it is missing or can't be used, what it said last counts.
 */
export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>;
  readonly #interval: number;
  #value: T;
  #version: string;
  #looked = Date.now();
  #looking: Promise<void> | undefined;

  private constructor(options: WatchedFileOptions<T>, value: T, version: string) {
    this.#options = options;
    this.#interval = options.interval ?? 1000;
    this.#value = value;
    this.#version = version;
  }

  /** Reads the file for the first time. Rejects with what is wrong with it. */
  static async open<T>(options: WatchedFileOptions<T>): Promise<WatchedFile<T>> {
    // Before it is read: a change while it is read is then seen by the next look.
    const version = await versionOf(options.path);
    return new WatchedFile(options, options.parse(await readFile(options.path, "utf8")), version);
  }

  /** What the file says, or said less than the interval ago. */
  async current(): Promise<T> {
    if (Date.now() - this.#looked >= this.#interval) await this.look();
    return this.#value;
  }

  /** The same at once; undefined where the file has to be looked at first. */
  peek(): T | undefined {
    return Date.now() - this.#looked < this.#interval ? this.#value : undefined;
  }

  /** Looks now whether the file has changed. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looked = Date.now();
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { path, parse, onFault } = this.#options;
    const version = await versionOf(path).catch((error: unknown) => String(error));
    if (version === this.#version) return;
    this.#version = version;
    try {
      this.#value = parse(await readFile(path, "utf8"));
    } catch (error) {
      onFault(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

async function versionOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join("/");
}
