import type { Readable } from "node:stream";
import { z } from "zod";
import type { ByteRange } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import type { Ask, Requests } from "../openstack/requests.ts";
import { isConflict } from "./failure.ts";
import { partOf } from "./part.ts";

/** An image as Glance describes it; of ours once it has a key. */
export interface Image {
  readonly id: string;
  readonly isActive: boolean;
  readonly size: number;
  readonly modified: Date;
  /** What it is to the registry; undefined before it is whole, and for images of others. */
  readonly key: string | undefined;
  /** The key by which its content came, where it waits for the one that it is to have. */
  readonly upload: string | undefined;
  /** Nobody is giving it a key. */
  readonly isUnfinished: boolean;
  /** Of two images with the same key, the one with the greater order counts. */
  readonly order: number;
  /** Whatever else the image says of itself, such as the Python registry's documents. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What all images of a registry are, those of the Python registry too. */
const format = { container_format: "docker", disk_format: "raw" } as const;
/** The names of properties. */
const keyName = "registry_key";
const orderName = "registry_order";
const stateName = "registry_state";
const uploadName = "registry_upload";
/** An image of either state has no key yet; of the second, somebody is giving it one. */
const unfinished = "unfinished";
const claimed = "claimed";

const described = z.looseObject({
  id: z.string(),
  status: z.string(),
  size: z.number().nullish(),
  updated_at: z.string(),
  [keyName]: z.string().optional(),
  [orderName]: z.string().optional(),
  [stateName]: z.string().optional(),
  [uploadName]: z.string().optional(),
});

/** What images have to be to be listed. */
type Filter = Readonly<Record<string, string>>;

const page = z.object({ images: z.array(described), next: z.string().optional() });

/** Images of a Glance, by version 2 of its interface. Everything rejects with a `DriverError`. */
export class Images {
  readonly #requests: Requests;
  readonly #project: () => Promise<string | undefined>;
  readonly #pageSize: number;

  /** `project` is whose images are looked at: others may show theirs to everyone. Undefined where nobody can say. */
  constructor(requests: Requests, project: () => Promise<string | undefined>, pageSize: number) {
    this.#requests = requests;
    this.#project = project;
    this.#pageSize = pageSize;
  }

  /** All images that could be a registry's, oldest first, a page at a time. */
  all(): AsyncGenerator<Image> {
    return this.#list({ ...format, status: "active" }, "the list of images");
  }

  /** Images whose upload has not come to its end, or not yet. */
  async *unfinished(): AsyncGenerator<Image> {
    for (const state of [unfinished, claimed]) {
      for await (const image of this.#list({ ...format, [stateName]: state }, "the list of unfinished images")) {
        if (image.key === undefined) yield image;
      }
    }
  }

  /** The images that have the key, the one that counts last. Tried again here when `persistent`. */
  async withKey(key: string, persistent = false): Promise<readonly Image[]> {
    const found: Image[] = [];
    for await (const image of this.#list({ ...format, status: "active", [keyName]: written(key) }, key, persistent)) {
      // There are databases to which a small letter and a large one are the same.
      if (image.key === key) found.push(image);
    }
    return found.sort((a, b) => (inOrder(a, b) ? -1 : 1));
  }

  /** Cheap proof that Glance answers, and lets us list. */
  async ping(): Promise<void> {
    const query = { ...(await this.#ours(format)), limit: "1" };
    await this.#requests.ask({ method: "GET", path, query, subject: "Glance" });
  }

  /**
   * Makes an image that has no content yet, nor a key. When the answer is lost, one more is made: that stays unfinished. It
   * tells its `upload`, if it has one.
   */
  async create(title: string, subject: string, upload?: string): Promise<string> {
    const from = upload === undefined ? {} : { [uploadName]: written(upload) };
    const body = json({ name: inName(title), ...format, [stateName]: unfinished, ...from });
    const { text } = await this.#requests.ask({
      method: "POST",
      path,
      headers: jsonHeaders,
      body,
      subject,
      persistent: true,
    });
    return imageOf(parsed(described, text)).id;
  }

  /** Gives an image its content: all that the source yields, or the image stays without. A buffer is sent again when it must. */
  async upload(id: string, content: Buffer | AsyncIterable<Uint8Array>, subject: string): Promise<void> {
    const headers = { "content-type": "application/octet-stream" };
    const persistent = Buffer.isBuffer(content);
    try {
      await this.#requests.ask({
        method: "PUT",
        path: `${path}/${id}/file`,
        headers,
        body: content,
        subject,
        persistent,
        isLong: true,
      });
    } catch (error) {
      // It has come before, and only the answer was lost.
      if (persistent && isConflict(error) && (await this.image(id, subject)).isActive) return;
      throw error;
    }
  }

  /** Gives an image its key, at once and for good. It counts before all others of the key with a smaller order. */
  async publish(id: string, key: string, title: string, order: number): Promise<Image> {
    const changes = [
      { op: "add", path: "/name", value: inName(title) },
      { op: "add", path: `/${keyName}`, value: written(key) },
      { op: "add", path: `/${orderName}`, value: String(order) },
      { op: "add", path: `/${stateName}`, value: "finished" },
    ];
    return await this.#change(id, changes, key);
  }

  /** Says that the image is about to get its key. NOT_FOUND when it is gone. */
  async claim(id: string, subject: string): Promise<Image> {
    return await this.#change(id, [{ op: "add", path: `/${stateName}`, value: claimed }], subject);
  }

  /** Takes a property away. That the image hasn't got it is fine. */
  async removeProperty(id: string, name: string, subject: string): Promise<void> {
    try {
      await this.#change(id, [{ op: "remove", path: `/${name}` }], subject);
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  /** Opens the content. A server that knows no ranges is read from its beginning. NOT_FOUND when the image is gone. */
  async open(id: string, range: Required<ByteRange>, size: number, subject: string): Promise<Readable> {
    const isWhole = range.start === 0 && range.end === size;
    const headers: Ask["headers"] = isWhole ? {} : { range: `bytes=${range.start}-${range.end - 1}` };
    const answer = await this.#requests.open({ method: "GET", path: `${path}/${id}/file`, headers, subject });
    if (isWhole || answer.status === 206) return answer.body;
    return partOf(answer.body, range);
  }

  /** What `error` means; for what goes wrong while content is read. */
  failure(error: unknown, subject: string): DriverError {
    return this.#requests.failure(error, { method: "GET", path, subject });
  }

  /** Deletes an image, whatever its state. That it is gone is fine. */
  async remove(id: string, subject: string): Promise<void> {
    try {
      await this.#requests.ask({ method: "DELETE", path: `${path}/${id}`, subject, persistent: true });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** As `image`; undefined when it is gone. */
  async find(id: string, subject: string): Promise<Image | undefined> {
    try {
      return await this.image(id, subject);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** NOT_FOUND when it is gone. */
  async image(id: string, subject: string): Promise<Image> {
    const { text } = await this.#requests.ask({ method: "GET", path: `${path}/${id}`, subject, persistent: true });
    return imageOf(parsed(described, text));
  }

  /** Each change may be made twice. */
  async #change(id: string, changes: readonly object[], subject: string): Promise<Image> {
    const headers = { "content-type": "application/openstack-images-v2.1-json-patch" };
    const body = json(changes);
    const { text } = await this.#requests.ask({
      method: "PATCH",
      path: `${path}/${id}`,
      headers,
      body,
      subject,
      persistent: true,
    });
    return imageOf(parsed(described, text));
  }

  /** An image may come twice where others are deleted meanwhile: pages are found by the last image of the one before. */
  async *#list(filter: Filter, subject: string, persistent = false): AsyncGenerator<Image> {
    const query = { ...(await this.#ours(filter)), limit: String(this.#pageSize), sort: "created_at:asc,id:asc" };
    for (let known: readonly string[] = []; ;) {
      const marker = known.at(-1);
      let text: string;
      try {
        const from = { ...query, ...(marker !== undefined && { marker }) };
        text = (await this.#requests.ask({ method: "GET", path, query: from, subject, persistent })).text;
      } catch (error) {
        if (!isNotFound(error) || marker === undefined) throw error;
        known = known.slice(0, -1);
        continue;
      }
      const { images, next } = parsed(page, text);
      yield* images.map(imageOf);
      if (next === undefined || images.length === 0) return;
      known = images.map(({ id }) => id);
    }
  }

  async #ours(filter: Filter): Promise<Filter> {
    const owner = await this.#project();
    return { ...filter, ...(owner !== undefined && { owner }) };
  }
}

const path = "/v2/images";
const jsonHeaders = { "content-type": "application/json" };

/** Whether `a` counts less than `b`. */
export function inOrder(a: Image, b: Image): boolean {
  return a.order === b.order ? a.id < b.id : a.order < b.order;
}

function imageOf(image: z.output<typeof described>): Image {
  const { id, status, size, updated_at: modified, ...properties } = image;
  return {
    id,
    isActive: status === "active",
    size: size ?? 0,
    modified: new Date(modified),
    key: read(image[keyName]),
    upload: read(image[uploadName]),
    isUnfinished: image[stateName] === unfinished,
    order: Number(image[orderName] ?? 0),
    properties,
  };
}

/** Glance does not take all characters; those that keys of the registry have stay as they are. */
function written(key: string): string {
  return encodeURIComponent(key).replaceAll("%2F", "/");
}

/** What is no key was written by somebody else. */
function read(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Longer names are refused. */
function inName(title: string): string {
  return title.slice(0, 255);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function parsed<T>(schema: z.ZodType<T>, text: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new DriverError("UNAVAILABLE", "Glance answers with what is no list of images: correct glance_url", {
      cause,
    });
  }
}
