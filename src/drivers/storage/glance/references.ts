import { buffer } from "node:stream/consumers";
import type { Entry, Stat, StorageDriver } from "../driver.ts";
import { isNotFound } from "../errors.ts";
import { sourceOf } from "../source-of.ts";
import type { Content } from "./contents.ts";

/** An object of the alternate's. */
export interface Waiting extends Stat {
  /** The image that has the object's bytes, where it isn't the alternate. `size` is the image's. */
  readonly content: Content | undefined;
}

/** Its own key is part of it. */
const form = /^registryctl: image ([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}) (\d{16}) of ([^]*)\n$/;

/**
 * Objects of the alternate that stand for an image each. Such an object says its own key, and that ends in a random number
 * that no client is told: none can send what looks like one.
 */
export class References {
  readonly #alternate: StorageDriver;

  constructor(alternate: StorageDriver) {
    this.#alternate = alternate;
  }

  /** Rejects with NOT_FOUND. */
  async find(key: string): Promise<Waiting> {
    return await this.#read(key, await this.#alternate.stat(key));
  }

  /** As `find`, where nothing may be. */
  async content(key: string): Promise<Content | undefined> {
    try {
      return (await this.find(key)).content;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Whether the object stands for that image. */
  async has(key: string, id: string): Promise<boolean> {
    return (await this.content(key))?.id === id;
  }

  /** What a listing says of the object; undefined when it has gone meanwhile. */
  async entry({ key, size, modified }: Entry): Promise<Entry | undefined> {
    try {
      return { key, modified, size: (await this.#read(key, { size, modified })).size };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Makes the object one that stands for the image, in place of what is there. */
  async place(key: string, content: Content): Promise<Stat> {
    const bytes = textOf(key, content);
    const { modified } = await this.#alternate.write(key, sourceOf(bytes), bytes.length);
    return { size: content.size, modified };
  }

  /** The image that an object with these bytes would stand for. */
  parse(key: string, bytes: Buffer): Content | undefined {
    const [, id, size, of] = form.exec(bytes.toString()) ?? [];
    return id === undefined || of !== key ? undefined : { id, size: Number(size) };
  }

  async #read(key: string, { size, modified }: Stat): Promise<Waiting> {
    if (size !== textOf(key, { id: "-".repeat(36), size: 0 }).length) return { size, modified, content: undefined };
    const content = this.parse(key, await buffer(await this.#alternate.read(key, { start: 0, end: size })));
    return { size: content?.size ?? size, modified, content };
  }
}

function textOf(key: string, { id, size }: Content): Buffer {
  return Buffer.from(`registryctl: image ${id} ${String(size).padStart(16, "0")} of ${key}\n`);
}
