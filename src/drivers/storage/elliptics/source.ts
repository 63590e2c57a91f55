import { DriverError, isNotFound } from "../errors.ts";
import { blockSize } from "./blocks.ts";
import { contentKey, type Contents } from "./contents.ts";
import type { Found } from "./directory.ts";
import type { ContentRef } from "./forms.ts";
import { dateOf, type Objects } from "./objects.ts";

/** So much is asked of a server at once for one reader. */
export const step = 131_072;

/** Where the bytes of an object are. */
export interface Source {
  readonly size: number;
  readonly modified: Date;
  /** The content that the object refers to. */
  readonly content: ContentRef | undefined;
  /** Rejects with NOT_FOUND, or UNAVAILABLE, when they are no longer those of the object that it was. */
  read(offset: number, size: number): Promise<Buffer>;
}

/** Makes sources of what was found. */
export class Sources {
  readonly #objects: Objects;
  readonly #contents: Contents;

  constructor(objects: Objects, contents: Contents) {
    this.#objects = objects;
    this.#contents = contents;
  }

  /** Throws NOT_FOUND where there is no object. */
  of(key: string, found: Found | undefined): Source {
    if (found === undefined || found.form.kind === "folder")
      throw new DriverError("NOT_FOUND", `${key} does not exist`);
    const { form, size, modified, groups } = found;
    if (form.kind === "reference") return this.in(form.content, modified);
    const read = async (offset: number, length: number): Promise<Buffer> => {
      const content = await this.#objects.read(key, { offset, size: length }, groups, ({ totalSize, time }) => {
        return totalSize === size && dateOf(time).getTime() === modified.getTime();
      });
      return content.bytes;
    };
    return { size: form.kind === "empty" ? 0 : size, modified, content: undefined, read };
  }

  /** Of a content, as an object that refers to it. */
  in(content: ContentRef, modified: Date): Source {
    const read = async (offset: number, length: number): Promise<Buffer> => {
      try {
        return await this.#contents.read(content, offset, length);
      } catch (error) {
        if (!isNotFound(error)) throw error;
        throw new DriverError("UNAVAILABLE", `${contentKey(content)} is gone`, { cause: error });
      }
    };
    return { size: content.size, modified, content, read };
  }
}

/** From `start`, where `first` has been read, to `end`. The next piece is fetched while one is taken. */
export async function* pieces(source: Source, first: Buffer, start: number, end: number): AsyncGenerator<Buffer> {
  let at = start + first.length;
  let piece = first;
  for (;;) {
    const size = Math.min(step, end - at);
    const next = size > 0 ? source.read(at, size) : undefined;
    next?.catch(() => undefined);
    if (piece.length > 0) yield piece;
    if (next === undefined) return;
    piece = await next;
    at += piece.length;
  }
}

/** All of the source in blocks; `between` is called before each. */
export async function* wholly(source: Source, between?: () => Promise<void>): AsyncGenerator<Buffer> {
  for (let at = 0; at < source.size; at += blockSize) {
    await between?.();
    yield await source.read(at, Math.min(blockSize, source.size - at));
  }
}
