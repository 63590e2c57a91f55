import type { Readable } from "node:stream";
import type { ByteRange, Stat, StorageDriver } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import { exactly } from "../exact-size.ts";
import { joined } from "../joined.ts";
import type { LayerKeys } from "../layer-keys.ts";
import { requireWhole, type Content, type Contents } from "./contents.ts";
import type { Images } from "./images.ts";
import type { Layers } from "./layers.ts";
import type { References } from "./references.ts";

/** So often an object is looked for that was replaced between finding and reading it. */
const attempts = 4;

/**
 * Objects on their way to a layer's key. What is long goes into an image while it comes; the alternate has a reference to
 * it, so that uploads are found without a look at Glance's images, and the image only gets its key in the end. All else
 * lies in the alternate: what is short, and what follows another part of its upload, as Glance adds nothing to an image.
 */
export class Arrivals {
  readonly #alternate: StorageDriver;
  readonly #references: References;
  readonly #images: Images;
  readonly #contents: Contents;
  readonly #layers: Layers;
  readonly #keys: LayerKeys;
  readonly #short: number;

  constructor(parts: {
    readonly alternate: StorageDriver;
    readonly references: References;
    readonly images: Images;
    readonly contents: Contents;
    readonly layers: Layers;
    readonly keys: LayerKeys;
    readonly short: number;
  }) {
    this.#alternate = parts.alternate;
    this.#references = parts.references;
    this.#images = parts.images;
    this.#contents = parts.contents;
    this.#layers = parts.layers;
    this.#keys = parts.keys;
    this.#short = parts.short;
  }

  has(key: string): boolean {
    return this.#keys.uploadOf(key) !== undefined;
  }

  async stat(key: string): Promise<Stat> {
    const { size, modified } = await this.#references.find(key);
    return { size, modified };
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    for (let attempt = 1; ; attempt++) {
      const { content } = await this.#references.find(key);
      if (!content) return await this.#alternate.read(key, range);
      try {
        return await this.#contents.open(key, content, range);
      } catch (error) {
        if (!isNotFound(error) || attempt === attempts) throw error;
      }
    }
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    const bytes = exactly(source, size);
    try {
      const { begun, isAll } = await beginning(bytes, this.#short);
      const isReference = isAll && this.#references.parse(key, Buffer.concat(begun)) !== undefined;
      const all = joined<Uint8Array>(begun, bytes);
      if (isReference || !(isAll || (await this.#isLater(key)))) return await this.#writeImage(key, all, size);
      return await this.replaced(key, async () => await this.#alternate.write(key, all, size));
    } finally {
      await bytes.return(undefined);
    }
  }

  /** Does what puts another object at the key, and deletes the image that was there. */
  async replaced<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = await this.#references.content(key);
    const result = await work();
    if (before) await this.#discard(key, before);
    return result;
  }

  async delete(key: string): Promise<void> {
    await this.replaced(key, async () => {
      await this.#alternate.delete(key);
    });
  }

  /** Whether an image has the object's bytes. */
  async isImage(key: string): Promise<boolean> {
    return this.has(key) && (await this.#references.content(key)) !== undefined;
  }

  /** Makes the object the layer. */
  async move(from: string, to: string): Promise<void> {
    const { content, size } = await this.#references.find(from);
    if (content && (await this.#become(from, content, to))) return;
    const source = content ? await this.#contents.open(from, content) : await this.#alternate.read(from);
    await this.#layers.write(to, source, size);
    await this.#alternate.delete(from);
  }

  /**
   * Gives the image its key. Answers false when it has another by now, as when a process was killed before the reference
   * was gone. Whoever deletes the object at the same time either sees the claim, and leaves the image alone, or was there
   * before it: then this rejects with NOT_FOUND.
   */
  async #become(from: string, content: Content, to: string): Promise<boolean> {
    const { key, size } = await this.#images.claim(content.id, from);
    if (key !== undefined && key !== to) return false;
    requireWhole(from, content, size);
    if (!(await this.#references.has(from, content.id))) {
      throw new DriverError("NOT_FOUND", `${from} was deleted while it was moved`);
    }
    await this.#layers.adopt(to, content);
    await this.#alternate.delete(from);
    return true;
  }

  async #writeImage(key: string, source: AsyncIterable<Uint8Array>, size: number | undefined): Promise<Stat> {
    const title = this.#keys.title(key);
    const content = await this.#contents.store(key, source, { title, size, upload: key });
    try {
      return await this.replaced(key, async () => await this.#references.place(key, content));
    } catch (error) {
      // Where it isn't sure that nothing refers to it, that is found out when it is old.
      const isReferred = await this.#references.has(key, content.id).catch(() => true);
      if (!isReferred) await this.#images.remove(content.id, key).catch(() => undefined);
      throw error;
    }
  }

  /** Whether another part of the upload is there. */
  async #isLater(key: string): Promise<boolean> {
    const folder = this.#keys.uploadOf(key) ?? key;
    const names = this.#alternate.children(folder)[Symbol.asyncIterator]();
    const { done } = await names.next();
    await names.return?.(undefined);
    return done !== true;
  }

  /** Deletes an image to which nothing refers any more, unless it has got a key, or is getting one. */
  async #discard(key: string, { id }: Content): Promise<void> {
    try {
      if ((await this.#images.image(id, key)).isUnfinished) await this.#images.remove(id, key);
    } catch {
      // It is gone, or will be found when it is old.
    }
  }
}

/** The first chunks of the source, until they are longer than `length` bytes or there are no more. */
async function beginning(
  source: AsyncGenerator<Uint8Array>,
  length: number,
): Promise<{ readonly begun: readonly Uint8Array[]; readonly isAll: boolean }> {
  const begun: Uint8Array[] = [];
  for (let size = 0; size <= length;) {
    const next = await source.next();
    if (next.done === true) return { begun, isAll: true };
    begun.push(next.value);
    size += next.value.length;
  }
  return { begun, isAll: false };
}
