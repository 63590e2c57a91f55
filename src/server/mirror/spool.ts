import { randomUUID } from "node:crypto";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../../drivers/storage/errors.ts";

/** So much is read at a time, in bytes. */
const piece = 256 * 1024;

/**
 * Bytes on their way: one writes, many read what is there and then wait for more, each from where it likes. It lies in a
 * file that has no name any more, so that nothing stays behind, however the process ends.
 */
export class Spool {
  readonly #file: FileHandle;
  #size = 0;
  #state: "open" | "complete" | { readonly error: unknown } = "open";
  #users = 1;
  #changed = signal();

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Makes one in a folder, for a user who will `release` it. Rejects, as `append` does, with NO_SPACE or UNAVAILABLE. */
  static async create(folder: string): Promise<Spool> {
    const path = join(folder, `registryctl-mirror-${randomUUID()}`);
    try {
      const file = await open(path, "wx+", 0o600);
      await unlink(path);
      return new Spool(file);
    } catch (error) {
      throw classified(error);
    }
  }

  get size(): number {
    return this.#size;
  }

  get hasFailed(): boolean {
    return typeof this.#state === "object";
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, offset, bytes.length - offset, this.#size).catch(refused);
      offset += bytesWritten;
      this.#size += bytesWritten;
    }
    this.#change();
  }

  /** All is there and is what it should be. */
  complete(): void {
    this.#state = "complete";
    this.#change();
  }

  /** It will never be complete: every reader is told, whatever it has read. */
  fail(error: unknown): void {
    this.#state = { error };
    this.#change();
  }

  /** Keeps the file for a user, who has to `release` it. */
  retain(): void {
    this.#users += 1;
  }

  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users === 0) await this.#file.close();
  }

  /**
   * What lies between two positions, as it comes. It ends only when all of the spool is complete, also where a part is
   * read: whoever holds back the end of what it sends has sent nothing wrong as a whole. Rejects with what `fail` was
   * told. The caller must have retained the spool meanwhile.
   */
  async *read(start = 0, end = Infinity): AsyncGenerator<Buffer> {
    for (let position = start; ;) {
      const changed = this.#changed.promise;
      if (typeof this.#state === "object") throw this.#state.error;
      const isComplete = this.#state === "complete";
      const available = Math.min(this.#size, end) - position;
      if (available > 0) {
        const buffer = Buffer.allocUnsafe(Math.min(piece, available));
        const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, position);
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      } else if (isComplete) {
        return;
      } else {
        await changed;
      }
    }
  }

  #change(): void {
    const { fire } = this.#changed;
    this.#changed = signal();
    fire();
  }
}

function refused(error: unknown): never {
  throw classified(error);
}

/** What is wrong with the folder, as storage tells it. */
function classified(error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error;
  const isFull = error.code === "ENOSPC" || error.code === "EDQUOT";
  const what = isFull ? "has no room left" : "can't be written to";
  return new DriverError(isFull ? "NO_SPACE" : "UNAVAILABLE", `The folder for blobs on their way (mirroring.spool) ${what}`, { cause: error }); // prettier-ignore
}

interface Signal {
  readonly promise: Promise<void>;
  readonly fire: () => void;
}

function signal(): Signal {
  let fire = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    fire = resolve;
  });
  return { promise, fire };
}
