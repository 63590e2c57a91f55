import { statfs } from "node:fs/promises";
import { DriverError } from "../errors.ts";

/** For so long a reading is believed, in milliseconds: asking before every small file would cost more than it tells. */
const believed = 1000;

/** Keeps a reserve of a file system free, so that what makes room (and everything else on it) can still work. */
export class FreeSpace {
  readonly #folder: string;
  readonly #reserve: number;
  #reading: Promise<number> | undefined;
  #readAt = 0;

  /** `reserve` in bytes; 0 asks nothing. */
  constructor(folder: string, reserve: number) {
    this.#folder = folder;
    this.#reserve = reserve;
  }

  /** Rejects with NO_SPACE when less than the reserve is left. */
  async require(): Promise<void> {
    if (this.#reserve === 0) return;
    const left = await this.#left();
    if (left >= this.#reserve) return;
    const [has, needs] = [left, this.#reserve].map((bytes) => `${Math.floor(bytes / 1e6)} MB`);
    throw new DriverError(
      "NO_SPACE",
      `The disk of the storage has ${has ?? ""} left; min_free keeps ${needs ?? ""} free`,
    );
  }

  async #left(): Promise<number> {
    const now = Date.now();
    if (this.#reading === undefined || now - this.#readAt > believed) {
      this.#readAt = now;
      this.#reading = statfs(this.#folder).then(({ bavail, bsize }) => bavail * bsize);
    }
    return await this.#reading;
  }
}
