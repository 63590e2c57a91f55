import { randomUUID } from "node:crypto";
import { DriverError } from "../errors.ts";
import { writeBlocks } from "./blocks.ts";
import { pendingTag } from "./directory.ts";
import { formOf, type ContentRef } from "./forms.ts";
import type { Objects } from "./objects.ts";
import type { Tag, Tags } from "./tags.ts";

/** The key of a content. No object's key has an empty component, and no listing leads here. */
export function contentKey({ id }: ContentRef): string {
  return `registryctl//content/${id}`;
}

/**
 * Contents under keys of their own, to which objects refer. They never change. A content is pending from before its first byte
 * until an object refers to it, and from before that object is deleted or replaced until it is gone: what a killed process
 * leaves is found again.
 */
export class Contents {
  readonly #objects: Objects;
  readonly #tags: Tags;
  readonly #readers = new Map<string, number>();
  /** What happens when the last reader has gone. */
  readonly #waiting = new Map<string, () => void>();

  constructor(objects: Objects, tags: Tags) {
    this.#objects = objects;
    this.#tags = tags;
  }

  /** Keeps what `blocks` yields, pending. When that throws, nothing is left. */
  async store(blocks: AsyncIterable<Buffer>, size: number | undefined): Promise<ContentRef> {
    const ref = { id: randomUUID(), size: size ?? 0 };
    await this.pend(ref);
    try {
      const written = await writeBlocks(this.#objects, contentKey(ref), blocks, size);
      return { id: ref.id, size: written.size };
    } catch (error) {
      // What can't be removed now is found among what is pending.
      await this.remove(ref).catch(() => undefined);
      throw error;
    }
  }

  /** The tag of an object that refers to the content. */
  userTag(ref: ContentRef, key: string): Tag {
    return { name: contentKey(ref), data: key };
  }

  /** Says that perhaps nothing refers to the content soon. */
  async pend(ref: ContentRef): Promise<void> {
    await this.#tags.add(contentKey(ref), [{ name: pendingTag, data: `content ${ref.id} ${Date.now()}` }]);
  }

  /** Says that an object refers to it. */
  async unpend(ref: ContentRef): Promise<void> {
    await this.#tags.replace(contentKey(ref), []);
  }

  /** Removes it, whether anything refers to it or not. */
  async remove(ref: ContentRef): Promise<void> {
    const { isComplete } = await this.#objects.remove(contentKey(ref));
    if (isComplete) await this.unpend(ref);
  }

  /**
   * Removes a content that is pending unless an object refers to it. While somebody reads it here, that is put off; `onLater`
   * is told when it was not done and can be tried again.
   */
  async settle(ref: ContentRef, onLater: () => void): Promise<void> {
    if (this.#readers.has(ref.id)) {
      this.#waiting.set(ref.id, onLater);
      return;
    }
    if (await this.#isUsed(ref)) await this.unpend(ref);
    else await this.remove(ref);
  }

  /** Says that the content is being read, until what is answered is called. */
  hold({ id }: ContentRef): () => void {
    this.#readers.set(id, (this.#readers.get(id) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#readers.get(id) ?? 1) - 1;
      if (left > 0) {
        this.#readers.set(id, left);
        return;
      }
      this.#readers.delete(id);
      const then = this.#waiting.get(id);
      this.#waiting.delete(id);
      then?.();
    };
  }

  /** Bytes of the content, from a group that has all of it. */
  async read(ref: ContentRef, offset: number, size: number): Promise<Buffer> {
    const name = contentKey(ref);
    const { bytes } = await this.#objects.read(
      name,
      { offset, size },
      undefined,
      ({ totalSize }) => totalSize === ref.size,
    );
    if (bytes.length !== Math.min(size, ref.size - offset))
      throw new DriverError("UNAVAILABLE", `${name} is too short`);
    return bytes;
  }

  async #isUsed(ref: ContentRef): Promise<boolean> {
    for (const key of await this.#tags.all(contentKey(ref))) {
      try {
        const groups = (await this.#objects.lookup(key)).map(({ group }) => group);
        const { bytes, totalSize } = await this.#objects.read(key, { offset: 0, size: 256 }, groups);
        const form = totalSize > bytes.length ? undefined : formOf(bytes);
        if (form?.kind === "reference" && form.content.id === ref.id) return true;
      } catch (error) {
        if (!(error instanceof DriverError && error.code === "NOT_FOUND")) throw error;
      }
    }
    return false;
  }
}
