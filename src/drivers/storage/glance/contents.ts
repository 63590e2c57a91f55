import { Readable } from "node:stream";
import { resolveRange } from "../byte-range.ts";
import type { ByteRange } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import { exactly, gathered } from "../exact-size.ts";
import { download } from "../s3/download.ts";
import type { Images } from "./images.ts";

/** Bytes that an image has; how many. */
export interface Content {
  readonly id: string;
  readonly size: number;
}

/** What is not longer is held in memory while it is sent, so that it can be sent again. */
const small = 262_144;

/** Bytes on their way into images and out of them. */
export class Contents {
  readonly #images: Images;

  constructor(images: Images) {
    this.#images = images;
  }

  /**
   * Makes an image of all that the source yields, or none: two requests. It has no key yet; with `upload`, it tells that
   * as the key that the bytes have now.
   */
  async store(
    key: string,
    source: AsyncIterable<Uint8Array>,
    { title, size, upload }: { readonly title: string; readonly size: number | undefined; readonly upload?: string },
  ): Promise<Content> {
    const isSmall = size !== undefined && size <= small;
    const content = isSmall ? Buffer.from(await gathered(source, size)) : new Counted(exactly(source, size));
    let id: string;
    try {
      id = await this.#images.create(title, key, upload);
    } catch (error) {
      throw isNotFound(error)
        ? new DriverError("REFUSED", "Glance has no images: correct glance_url", { cause: error })
        : error;
    }
    return await this.orNothing(key, id, async () => {
      await this.#images.upload(id, content, key);
      return { id, size: content.length };
    });
  }

  /** Does what makes an image one that counts, and deletes it when that fails. */
  async orNothing<T>(key: string, id: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // Whoever can't be reached keeps an image without a key, that is taken away later.
      await this.#images.remove(id, key).catch(() => undefined);
      // An image that is gone is no missing object.
      throw isNotFound(error)
        ? new DriverError("UNAVAILABLE", `${key}: its image was deleted while it was written`, { cause: error })
        : error;
    }
  }

  /** Rejects with NOT_FOUND when the image is gone before the first byte. */
  async open(key: string, { id, size }: Content, range?: ByteRange): Promise<Readable> {
    const { start, end } = resolveRange(range, size);
    if (end === start) return Readable.from([]);
    const open = async (from: number): Promise<Readable> =>
      await this.#images.open(id, { start: from, end }, size, key);
    return download(await open(start), end - start, {
      reopen: async (received) => await open(start + received),
      fault: (error) => {
        const fault = this.#images.failure(error, key);
        return isNotFound(fault)
          ? new DriverError("UNAVAILABLE", `${key} was deleted while it was read`, { cause: error })
          : fault;
      },
    });
  }
}

/** Throws when Glance has kept other than all bytes. */
export function requireWhole(key: string, { size }: Content, stored: number): void {
  if (stored === size) return;
  throw new DriverError("UNAVAILABLE", `${key}: Glance has kept ${stored} of ${size} bytes`);
}

/** Knows how many bytes have been taken of it. */
class Counted implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterable<Uint8Array>;
  length = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#source) {
      this.length += chunk.length;
      yield chunk;
    }
  }
}
