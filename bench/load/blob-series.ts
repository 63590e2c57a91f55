import { createHash, randomBytes, type Hash } from "node:crypto";

/** Bytes to push: made as they are sent, with their digest known before. */
export interface Blob {
  readonly digest: string;
  readonly size: number;
  readonly chunks: () => Iterable<Uint8Array>;
}

const chunkSize = 1024 * 1024;

/**
 * Blobs of one size that no server has seen. They share all but their last chunk, so that the client hashes that chunk
 * alone and its work doesn't disturb what is measured.
 */
export class BlobSeries {
  readonly #size: number;
  readonly #chunk: Buffer;
  readonly #shared: Hash;

  constructor(size: number) {
    this.#size = size;
    this.#chunk = randomBytes(Math.min(size, chunkSize));
    this.#shared = createHash("sha256");
    for (let index = 1; index < this.#count; index++) this.#shared.update(this.#chunk);
  }

  next(): Blob {
    const last = Buffer.from(this.#chunk.subarray(0, this.#size - (this.#count - 1) * this.#chunk.length));
    randomBytes(Math.min(16, last.length)).copy(last);
    const digest = `sha256:${this.#shared.copy().update(last).digest("hex")}`;
    const [chunk, count] = [this.#chunk, this.#count];
    return {
      digest,
      size: this.#size,
      *chunks() {
        for (let index = 1; index < count; index++) yield chunk;
        yield last;
      },
    };
  }

  get #count(): number {
    return Math.max(1, Math.ceil(this.#size / this.#chunk.length));
  }
}
