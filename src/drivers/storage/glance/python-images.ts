import type { Entry, Stat, StorageDriver } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import { isBelow } from "../key-order.ts";
import { sourceOf } from "../source-of.ts";
import type { Image, Images } from "./images.ts";

/** A document of an image that the Python registry has kept as one of its properties. */
export interface Document extends Stat {
  readonly content: Buffer;
}

/** What is known of such an image without asking for it: the sizes of its documents, by their names. */
interface Known {
  readonly id: string;
  readonly modified: Date;
  readonly documents: ReadonlyMap<string, number>;
}

/** What comes before the name of a document in that of its property. */
const mark = "meta_";

/**
 * Images that the Python registry left in Glance. Each is a layer of V1; its documents (`json`, `ancestry`, `_checksum`)
 * are properties `meta_…` of the image. Nobody can ask for them by their ids: version 2 of Glance's interface hides the
 * property `id`, so all images are looked through once, and the ids read from `meta_json`. The Python registry needs a
 * version 1 that no Glance of today has: there won't be more of them.
 */
export class PythonImages {
  readonly #images: Images;
  readonly #alternate: StorageDriver;
  #known: Promise<Map<string, Known>> | undefined;

  constructor(images: Images, alternate: StorageDriver) {
    this.#images = images;
    this.#alternate = alternate;
  }

  /** The key of the layer that the image is; undefined for images that are not the Python registry's. */
  keyOf(image: Image): string | undefined {
    const id = imageIdOf(image);
    return id === undefined ? undefined : `images/${id}/layer`;
  }

  /** The image that has this key; undefined when there is none. */
  async layer(key: string): Promise<Image | undefined> {
    const known = await this.#find(key, "layer");
    if (known === undefined) return undefined;
    try {
      const image = await this.#images.image(known.id, key);
      return image.isActive && this.keyOf(image) === key ? image : undefined;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.forget(known.id);
      return undefined;
    }
  }

  /** What is known of a document; NOT_FOUND when no image has it. */
  async stat(key: string): Promise<Stat> {
    const known = await this.#find(key);
    const size = known?.documents.get(nameOf(key));
    if (known === undefined || size === undefined) throw missing(key);
    return { size, modified: known.modified };
  }

  /** The document of that key; NOT_FOUND when no image has it. */
  async document(key: string): Promise<Document> {
    await this.stat(key);
    const known = await this.#find(key);
    const image = known && (await this.#images.image(known.id, key));
    const text = image?.properties[mark + nameOf(key)];
    if (image === undefined || typeof text !== "string") throw missing(key);
    const content = Buffer.from(text);
    return { content, size: content.length, modified: image.modified };
  }

  /** The documents below the prefix, in no order. */
  async *documents(prefix: string): AsyncGenerator<Entry> {
    if (!mayHoldImages(prefix)) return;
    for (const [id, { modified, documents }] of await this.#all()) {
      for (const [name, size] of documents) {
        const key = `images/${id}/${name}`;
        if (isBelow(key, prefix)) yield { key, size, modified };
      }
    }
  }

  /** Takes a document away. That there is none is fine. */
  async deleteDocument(key: string): Promise<void> {
    const known = await this.#find(key);
    const name = nameOf(key);
    if (known?.documents.has(name) !== true) return;
    await this.#images.removeProperty(known.id, mark + name, key);
    const documents = new Map([...known.documents].filter(([other]) => other !== name));
    (await this.#all()).set(idOf(key), { ...known, documents });
  }

  /** Copies the documents of an image that is about to go into the alternate store, but for those that it has. */
  async keepDocuments(image: string): Promise<void> {
    for (const [id, known] of await this.#all()) {
      if (known.id !== image) continue;
      for (const name of known.documents.keys()) await this.#keep(`images/${id}/${name}`);
    }
  }

  /** The image has gone, or is another one's now. */
  forget(image: string): void {
    const forgetting = this.#known?.then((all) => {
      for (const [id, known] of all) if (known.id === image) all.delete(id);
    });
    // Who waits for the list is told why there is none.
    forgetting?.catch(() => undefined);
  }

  async #keep(key: string): Promise<void> {
    try {
      await this.#alternate.stat(key);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const { content, size } = await this.document(key);
      await this.#alternate.write(key, sourceOf(content), size);
    }
  }

  async #find(key: string, name = nameOf(key)): Promise<Known | undefined> {
    const [top, id, file, ...rest] = key.split("/");
    if (top !== "images" || id === undefined || file !== name || rest.length > 0) return undefined;
    return (await this.#all()).get(id);
  }

  async #all(): Promise<Map<string, Known>> {
    this.#known ??= this.#load().catch((error: unknown) => {
      this.#known = undefined;
      throw error;
    });
    return await this.#known;
  }

  async #load(): Promise<Map<string, Known>> {
    const all = new Map<string, Known>();
    for await (const image of this.#images.all()) {
      const id = imageIdOf(image);
      if (id !== undefined) all.set(id, { id: image.id, modified: image.modified, documents: documentsOf(image) });
    }
    return all;
  }
}

function documentsOf({ properties }: Image): ReadonlyMap<string, number> {
  const documents = Object.entries(properties).flatMap(([name, value]): [string, number][] =>
    name.startsWith(mark) && typeof value === "string" ? [[name.slice(mark.length), Buffer.byteLength(value)]] : [],
  );
  return new Map(documents);
}

/** The id that the image has in the registry, by its own description. */
function imageIdOf({ key, properties }: Image): string | undefined {
  const json = properties[`${mark}json`];
  if (key !== undefined || typeof json !== "string") return undefined;
  try {
    const description: unknown = JSON.parse(json);
    const isObject = typeof description === "object" && description !== null && "id" in description;
    const id = isObject ? description.id : undefined;
    return typeof id === "string" && /^[\w-]{1,128}$/.test(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Whether keys of images lie below the prefix. */
function mayHoldImages(prefix: string): boolean {
  return prefix === "" || prefix === "images" || isBelow(prefix, "images");
}

function idOf(key: string): string {
  return key.split("/")[1] ?? "";
}

function nameOf(key: string): string {
  return key.split("/")[2] ?? "";
}

function missing(key: string): DriverError {
  return new DriverError("NOT_FOUND", `${key} does not exist`);
}
