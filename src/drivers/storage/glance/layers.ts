import { LRUCache } from "lru-cache";
import type { Readable } from "node:stream";
import type { ByteRange, Entry, Stat } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import { isBelow } from "../key-order.ts";
import { requireWhole, type Content, type Contents } from "./contents.ts";
import { inOrder, type Image, type Images } from "./images.ts";
import type { LayerKeys } from "../layer-keys.ts";
import { namesBelow, ordered, type Keyed } from "./ordered.ts";
import type { PythonImages } from "./python-images.ts";

/** So often an object is looked for that was replaced between finding and reading it. */
const attempts = 4;

/** So long after it was looked at, an object is read without being looked for again, in milliseconds. */
const fresh = 1_000;

/** What a listing yields of the images of Glance. */
interface Listed extends Entry {
  readonly image: Image;
}

/**
 * Objects that are images of Glance: an image gets its key when it is whole, by one request, so nobody sees a part of one.
 * A new image of a key counts before the older ones from then on; those are deleted afterwards, and what can't be is by
 * the next write or delete.
 */
export class Layers {
  readonly #images: Images;
  readonly #contents: Contents;
  readonly #python: PythonImages;
  readonly #keys: LayerKeys;
  /** What `stat` has found, for the `read` behind it. An image that is gone since then is not found when it is opened. */
  readonly #seen = new LRUCache<string, Image>({ max: 1_000, ttl: fresh });

  constructor(parts: {
    readonly images: Images;
    readonly contents: Contents;
    readonly python: PythonImages;
    readonly keys: LayerKeys;
  }) {
    this.#images = parts.images;
    this.#contents = parts.contents;
    this.#python = parts.python;
    this.#keys = parts.keys;
  }

  /** Finding the image, unless that was just done for `stat`, and reading it are a request each. */
  async read(key: string, range?: ByteRange): Promise<Readable> {
    for (let attempt = 1; ; attempt++) {
      const image = this.#seen.get(key) ?? (await this.#find(key));
      try {
        return await this.#contents.open(key, image, range);
      } catch (error) {
        if (!isNotFound(error) || attempt === attempts) throw error;
        this.#seen.delete(key);
        this.#python.forget(image.id);
      }
    }
  }

  /** Four requests: make an image, send the content, look for older images, and give it the key. */
  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    const content = await this.#contents.store(key, source, { title: this.#keys.title(key), size });
    return await this.#contents.orNothing(key, content.id, async () => await this.adopt(key, content));
  }

  /** Gives an image the key, two requests: no byte is moved. */
  async adopt(key: string, content: Content): Promise<Stat> {
    const older = (await this.#images.withKey(key, true)).filter(({ id }) => id !== content.id);
    const title = this.#keys.title(key);
    this.#seen.delete(key);
    const { size, modified } = await this.#images.publish(content.id, key, title, orderAfter(older));
    requireWhole(key, content, size);
    await this.#removeReplaced(older, key);
    return { size, modified };
  }

  async stat(key: string): Promise<Stat> {
    const image = await this.#find(key);
    this.#seen.set(key, image);
    const { size, modified } = image;
    return { size, modified };
  }

  /** The image gets the other key: no byte is moved. */
  async move(from: string, to: string): Promise<void> {
    const image = await this.#find(from);
    if (from === to) return;
    this.#seen.delete(from);
    const others = (await this.#images.withKey(from, true)).filter(({ id }) => id !== image.id);
    // Before it is renamed: else one of these would count.
    for (const { id } of others) await this.#images.remove(id, from);
    if (image.key === undefined) await this.#python.keepDocuments(image.id);
    await this.adopt(to, image);
    this.#python.forget(image.id);
  }

  /** The oldest first, so that none of them is seen again. */
  async delete(key: string): Promise<void> {
    this.#seen.delete(key);
    const python = await this.#python.layer(key);
    // Its documents are parts of the image, and go on without it.
    if (python) {
      await this.#python.keepDocuments(python.id);
      await this.#images.remove(python.id, key);
      this.#python.forget(python.id);
    }
    for (const { id } of await this.#images.withKey(key)) await this.#images.remove(id, key);
  }

  /** What lies below the prefix: one request for one layer, none where no layer can be, else one for each page of all images. */
  async *list(prefix: string, after = ""): AsyncGenerator<Entry> {
    const below = this.#keys.below(prefix);
    if (below === "none") return;
    const scan = below === "many" ? () => this.#all(prefix) : () => this.#only(below.key);
    for await (const { key, size, modified } of ordered(scan, after, newer)) yield { key, size, modified };
  }

  /** The names directly below the prefix; what it costs is what `list` costs. */
  async *children(prefix: string, after = ""): AsyncGenerator<Keyed> {
    const scan = () => namesBelow(this.list(prefix), prefix);
    if (this.#keys.below(prefix) !== "none") yield* ordered(scan, after, (one) => one);
  }

  async #find(key: string): Promise<Image> {
    const found = (await this.#images.withKey(key)).at(-1) ?? (await this.#python.layer(key));
    if (found) return found;
    throw new DriverError("NOT_FOUND", `${key} does not exist`);
  }

  async *#all(prefix: string): AsyncGenerator<Listed> {
    for await (const image of this.#images.all()) {
      const key = image.key ?? this.#python.keyOf(image);
      if (key === undefined || !isBelow(key, prefix) || !this.#keys.isLayer(key)) continue;
      yield { key, size: image.size, modified: image.modified, image };
    }
  }

  async *#only(key: string): AsyncGenerator<Listed> {
    const image = await this.#find(key).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (image) yield { key, size: image.size, modified: image.modified, image };
  }

  async #removeReplaced(images: readonly Image[], key: string): Promise<void> {
    for (const { id } of images) await this.#images.remove(id, key).catch(() => undefined);
  }
}

/** An order that counts before those of `images`, whatever the clocks of others say. */
function orderAfter(images: readonly Image[]): number {
  return Math.max(Date.now(), ...images.map(({ order }) => order + 1));
}

function newer(one: Listed, other: Listed): Listed {
  return inOrder(one.image, other.image) ? other : one;
}
