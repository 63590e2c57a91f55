import { closeSync, fstatSync, openSync, statSync, writeSync } from "node:fs";
import type { Lines } from "./log-lines.ts";

/** How often at most is looked whether the file is still where it was, in milliseconds. */
const usualInterval = 1000;

/**
 * A file that lines are added to; a new one is its owner's alone. When it is moved away or removed, as logrotate does, a
 * new one is begun, within a second. Several processes may write to one.
 */
export class LogFile implements Lines {
  readonly #path: string;
  readonly #onFault: (error: Error, text: string) => void;
  readonly #interval: number;
  #file: number;
  #looked = Date.now();

  /** Throws when the file can't be written to; later faults are told to `onFault`, with the lines that they are about. */
  constructor(path: string, onFault: (error: Error, text: string) => void, interval = usualInterval) {
    this.#path = path;
    this.#onFault = onFault;
    this.#interval = interval;
    this.#file = opened(path);
  }

  write(text: string): void {
    try {
      if (Date.now() - this.#looked >= this.#interval) this.#look();
      const bytes = Buffer.from(text);
      const written = writeSync(this.#file, bytes);
      if (written < bytes.length) writeSync(this.#file, bytes, written);
    } catch (error) {
      this.#onFault(error instanceof Error ? error : new Error(String(error)), text);
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  #look(): void {
    this.#looked = Date.now();
    const now = statSync(this.#path, { throwIfNoEntry: false });
    const { dev, ino } = fstatSync(this.#file);
    if (now?.ino === ino && now.dev === dev) return;
    const file = opened(this.#path);
    closeSync(this.#file);
    this.#file = file;
  }
}

function opened(path: string): number {
  return openSync(path, "a", 0o600);
}
