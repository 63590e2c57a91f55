import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import type { ByteRange } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import { HttpFailure } from "../openstack/failure.ts";
import type { Ask, Renewable, Requests, Text } from "../openstack/requests.ts";
import type { Answer } from "../openstack/transport.ts";
import type { Head } from "../s3/object-bucket.ts";
import { rangeHeader, type PageRequest } from "../s3/page.ts";

/** What is known of an object without reading it. */
export interface ObjectHead extends Head {
  /** It is a list of other objects. */
  readonly isLarge: boolean;
  /** The upload whose parts it lists, where it is one of ours. */
  readonly upload: string | undefined;
}

/** An object as a container lists it. */
export interface Listed {
  readonly key: string;
  readonly size: number;
  readonly modified: Date;
  /** The MD5 of what is stored; that of nothing where the server tells the size of a list instead of what it lists. */
  readonly hash: string;
}

/** One page of a listing. */
export interface Listing {
  readonly objects: readonly Listed[];
  readonly folders: readonly string[];
  /** Nothing comes behind it. */
  readonly isLast: boolean;
}

/** What a PUT has beside its key. */
export interface Put {
  readonly body?: Buffer | Renewable;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  /** The key that failures are about, where it is another one. */
  readonly subject?: string;
}

/** Which upload the parts of a large object are of. */
export const uploadHeader = "x-object-meta-registryctl-upload";

const listing = z.array(
  z.union([
    z.object({ subdir: z.string() }),
    z.object({ name: z.string(), bytes: z.number(), hash: z.string(), last_modified: z.string() }),
  ]),
);

/** The objects of a container below a prefix, by keys without it. */
export class Container {
  readonly name: string;
  readonly #requests: Requests;
  readonly #prefix: string;
  /** How many entries of a listing the server gives at once. */
  #mostListed = Infinity;

  constructor(requests: Requests, name: string, prefix: string) {
    this.name = name;
    this.#requests = requests;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
  }

  /** The path of an object behind the account's URL, or that of the container. */
  path(key?: string): string {
    const place = `/${encodeURIComponent(this.name)}`;
    return key === undefined ? place : `${place}/${(this.#prefix + key).split("/").map(encodeURIComponent).join("/")}`;
  }

  /** Answers as soon as the headers are there; the caller takes the body. */
  async get(key: string, range?: ByteRange, query?: Readonly<Record<string, string>>): Promise<Answer> {
    const ask = { method: "GET", path: this.path(key), headers: rangeHeader(range), subject: key } as const;
    return await this.#requests.open({ ...ask, ...(query && { query }) });
  }

  /** What an object holds, where it is a small one. */
  async read(key: string, query?: Readonly<Record<string, string>>): Promise<string> {
    const ask = { method: "GET", path: this.path(key), subject: key, persistent: true } as const;
    return (await this.#requests.ask({ ...ask, ...(query && { query }) })).text;
  }

  async head(key: string, persistent = false): Promise<ObjectHead> {
    const { headers } = await this.#requests.ask({ method: "HEAD", path: this.path(key), subject: key, persistent });
    return headOf(headers);
  }

  /** As `head`, but undefined where there is no object. */
  async find(key: string): Promise<ObjectHead | undefined> {
    return await orUndefined(this.head(key, true));
  }

  /** Makes an object by one request, and the container where it is missing. Tried again after any passing failure. */
  async put(key: string, { body, headers, query, subject = key }: Put): Promise<Text> {
    const ask: Ask = {
      method: "PUT",
      path: this.path(key),
      subject,
      headers: { "content-type": "application/octet-stream", ...headers },
      persistent: true,
      isLong: headers !== undefined && "x-copy-from" in headers,
      ...(query && { query }),
      ...(body && { body }),
    };
    try {
      return await this.#requests.ask(ask);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.create();
      return await this.#requests.ask(ask);
    }
  }

  /**
   * Makes an object of `size` bytes of what `source` yields, by one request that can't be made twice. The server gets the last
   * bytes when the source has ended, and keeps nothing when it throws instead.
   */
  async stream(key: string, source: AsyncIterable<Uint8Array>, size: number): Promise<Text> {
    const headers = { "content-type": "application/octet-stream", "content-length": String(size) };
    const body = heldBack(source);
    try {
      return await this.#requests.ask({ method: "PUT", path: this.path(key), subject: key, headers, body });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.create();
      throw new DriverError("UNAVAILABLE", `the container ${this.name} was gone and is made anew`, { cause: error });
    }
  }

  /** Rejects with NOT_FOUND where there is nothing. */
  async delete(key: string, persistent: boolean, query?: Readonly<Record<string, string>>): Promise<void> {
    const ask = { method: "DELETE", path: this.path(key), subject: key, persistent } as const;
    await this.#requests.ask({ ...ask, ...(query && { query }) });
  }

  /** One page of a listing; undefined when there is no such container. */
  async list(request: PageRequest): Promise<Listing | undefined> {
    const { prefix, after, folded } = request;
    const limit = Math.min(request.limit, this.#mostListed);
    const query = {
      format: "json",
      limit: String(limit),
      prefix: this.#prefix + prefix,
      ...(folded && { delimiter: "/" }),
      ...(after !== "" && { marker: this.#prefix + after }),
    };
    const ask = { method: "GET", path: this.path(), query, subject: `the container ${this.name}` } as const;
    try {
      const { headers, text } = await this.#requests.ask(ask);
      const items = text === "" ? [] : listing.parse(JSON.parse(text));
      const isLast = items.length === 0 || (items.length < limit && fillsPages(headers));
      return { ...this.#entries(items), isLast };
    } catch (error) {
      if (isMissing(error)) return undefined;
      const most = mostListed(error);
      if (most === undefined || most >= limit) throw this.#requests.failure(error, ask);
      this.#mostListed = most;
      return await this.list(request);
    }
  }

  /** Makes the container; that it is there already is fine. */
  async create(): Promise<void> {
    await this.#requests.ask({
      method: "PUT",
      path: this.path(),
      subject: `the container ${this.name}`,
      persistent: true,
    });
  }

  #entries(items: z.output<typeof listing>): { readonly objects: Listed[]; readonly folders: string[] } {
    const objects: Listed[] = [];
    const folders: string[] = [];
    for (const item of items) {
      if ("subdir" in item) folders.push(item.subdir.slice(this.#prefix.length, -1));
      else {
        const { name, bytes: size, hash, last_modified: time } = item;
        // Swift leaves out that it is UTC.
        const modified = new Date(time.endsWith("Z") ? time : `${time}Z`);
        objects.push({ key: name.slice(this.#prefix.length), size, hash, modified });
      }
    }
    return { objects, folders };
  }
}

/** Swift alone lists as many as there are up to the limit. Ceph's gateway may stop before it, and says nothing of that. */
function fillsPages(headers: IncomingHttpHeaders): boolean {
  return Number(headers["x-timestamp"]) > 0 && headers["x-container-bytes-used-actual"] === undefined;
}

/** Yields `source`, and the last of it when it has ended. */
async function* heldBack(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let last: Uint8Array | undefined;
  for await (const chunk of source) {
    if (last) yield last;
    last = chunk;
  }
  if (last) yield last;
}

/** Reads the headers of an answer to HEAD or GET. */
export function headOf(headers: IncomingHttpHeaders): ObjectHead {
  const { "content-length": length, "last-modified": modified = 0, etag = "" } = headers;
  const isLarge = headers["x-static-large-object"]?.toString().toLowerCase() === "true";
  const upload = isLarge ? headers[uploadHeader]?.toString() : undefined;
  return { size: Number(length), modified: new Date(modified), etag, isLarge, upload };
}

/** What `work` answers, or undefined where it says that the object does not exist. */
export async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** What Swift says where its `container_listing_limit` is less than was asked for. */
function mostListed(error: unknown): number | undefined {
  const refusal = error instanceof DriverError && error.cause instanceof HttpFailure ? error.cause : undefined;
  const said = refusal?.status === 412 ? /Maximum limit is (\d+)/.exec(refusal.message)?.[1] : undefined;
  return said === undefined ? undefined : Number(said);
}

function isMissing(error: unknown): boolean {
  return error instanceof DriverError && error.cause instanceof HttpFailure && error.cause.status === 404;
}
