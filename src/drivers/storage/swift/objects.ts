import type { IncomingHttpHeaders } from "node:http";
import type { ByteRange, Entry, RedirectOptions, Stat } from "../driver.ts";
import { DriverError } from "../errors.ts";
import { exactly } from "../exact-size.ts";
import { isUploadRecord, registryLayers } from "../layer-keys.ts";
import type { Identity } from "../openstack/identity.ts";
import type { Requests } from "../openstack/requests.ts";
import type { Content, Head, ObjectBucket, Tuning } from "../s3/object-bucket.ts";
import { behind, type Page, type PageRequest } from "../s3/page.ts";
import type { PartMemory } from "../s3/part-memory.ts";
import { Container, headOf, orUndefined, type Listed } from "./container.ts";
import { SegmentUpload } from "./segment-upload.ts";
import { inLanes, Segments } from "./segments.ts";
import { small, streamedUpload } from "./streamed-upload.ts";
import { TempUrls } from "./temp-urls.ts";
import { openWhole } from "./whole-object.ts";

/** No write takes so long, in milliseconds: what has been pending for longer was left by a process that was killed. */
const old = 24 * 3_600_000;

/** What lists of other objects have where servers tell of the list alone. */
const hashOfNothing = "d41d8cd98f00b204e9800998ecf8427e";

/** What is not large. */
const plain = { upload: undefined, isLarge: false } as const;

/** Objects in a container of Swift; those that don't fit into a part are lists of objects in another container. */
export class SwiftObjects implements ObjectBucket {
  readonly tuning: Tuning;
  readonly #identity: Identity;
  readonly #requests: Requests;
  readonly #objects: Container;
  readonly #segments: Segments;
  readonly #urls: TempUrls;

  constructor(parts: {
    readonly identity: Identity;
    readonly requests: Requests;
    readonly container: string;
    readonly prefix: string;
    readonly tuning: Tuning;
  }) {
    const { identity, requests, container, prefix, tuning } = parts;
    this.tuning = tuning;
    this.#identity = identity;
    this.#requests = requests;
    this.#objects = new Container(requests, container, prefix);
    this.#segments = new Segments(new Container(requests, `${container}_segments`, prefix), this.#objects);
    this.#urls = new TempUrls(identity, requests, this.#objects);
  }

  /** No `if-match`: Ceph's gateway finds none for large objects. */
  async get(
    key: string,
    range?: ByteRange,
    same?: string,
  ): Promise<{ readonly response: Content; readonly head: Head }> {
    if (range === undefined && same === undefined) {
      const whole = await openWhole(this.#objects, this.#segments, key);
      if (whole) return whole;
    }
    const another = new DriverError("UNAVAILABLE", `${key} is another object now`);
    const { status, headers, body } = await this.#objects.get(key, range).catch((error: unknown) => {
      // There was something to read of the object that it was.
      throw same !== undefined && error instanceof DriverError && error.code === "INVALID_RANGE" ? another : error;
    });
    const head = headOf(headers);
    if (same !== undefined && head.etag !== same) {
      body.destroy();
      throw another;
    }
    return { response: Object.assign(body, { statusCode: status }), head };
  }

  async head(key: string): Promise<Head> {
    return await this.#objects.head(key);
  }

  async put(key: string, content: Buffer): Promise<Stat> {
    const { headers } = await this.#segments.replacing(
      key,
      async () => await this.#objects.put(key, { body: content }),
    );
    return { size: content.length, modified: modifiedOf(headers) };
  }

  /**
   * A layer whose size is known is one object, and is sent as it comes: Swift reads that at less cost than a list of parts.
   * Anything else that is large is such a list, which can have another key without a copy.
   */
  async write(key: string, source: AsyncIterable<Uint8Array>, memory: PartMemory, size?: number): Promise<Stat> {
    const bytes = exactly(source, size);
    if (size === undefined || size <= small || size > this.tuning.copyLimit || !registryLayers.isLayer(key)) {
      return await streamedUpload(this, key, bytes, memory, size);
    }
    const { headers } = await this.#segments.replacing(key, async () => await this.#objects.stream(key, bytes, size));
    return { size, modified: modifiedOf(headers) };
  }

  async begin(key: string): Promise<SegmentUpload> {
    return await SegmentUpload.begin(this.#objects, this.#segments, key);
  }

  /** Makes the container where it is missing. */
  async page(request: PageRequest): Promise<Page> {
    const page = await this.#objects.list(request);
    if (page === undefined) await this.#objects.create();
    const { objects, folders, isLast } = page ?? { objects: [], folders: [], isLast: true };
    const named = objects.filter(({ key }) => key !== "" && !key.endsWith("/"));
    return {
      entries: request.folded ? named : await this.#sized(named),
      folders: folders.filter((name) => name !== ""),
      next: isLast ? undefined : behind(objects.at(-1)?.key, folders.at(-1)),
    };
  }

  async copy(from: string, to: string): Promise<boolean> {
    const head = await this.#objects.head(from, true);
    if (from === to) return true;
    if (!head.isLarge) {
      const headers = { "x-copy-from": this.#objects.path(from) };
      await this.#segments.replacing(to, async () => await this.#objects.put(to, { headers, subject: from }));
      return true;
    }
    const list = await this.#segments.listOf(from, head);
    if (list === undefined) return false;
    const upload = await SegmentUpload.begin(this.#objects, this.#segments, to);
    try {
      await upload.copy(list, from);
      await upload.complete(head.size);
    } catch (error) {
      await upload.abort();
      throw error;
    }
    return true;
  }

  /** Of a large object, only the list of its parts moves. */
  async move(from: string, to: string): Promise<boolean> {
    const head = await this.#objects.head(from, true);
    if (from === to || head.upload === undefined) return false;
    const marked = this.#segments.mark(head.upload, from, to);
    const [list, keys] = await Promise.all([this.#segments.listOf(from, head), marked]);
    if (list === undefined) return false;
    const { upload } = await this.#segments.publish(to, head.upload, list, head.size);
    // Who else may list these parts is looked for only where somebody else may.
    const isDeleted = await orUndefined(this.#objects.delete(from, true).then(() => true));
    if (isDeleted && upload === head.upload && keys.length === 2) await this.#segments.unmark(upload);
    else await this.#segments.settle(head.upload, keys);
    return true;
  }

  async remove(key: string, persistent: boolean): Promise<void> {
    const { upload, isLarge } = isUploadRecord(key) ? plain : await this.#objects.head(key, persistent);
    if (upload === undefined) {
      await this.#objects.delete(key, persistent, isLarge ? { "multipart-manifest": "delete" } : undefined);
      return;
    }
    const keys = await this.#segments.mark(upload, key);
    await this.#objects.delete(key, persistent);
    await this.#segments.settle(upload, keys);
  }

  async signedUrl(key: string, { seconds }: RedirectOptions): Promise<URL | undefined> {
    return await this.#urls.sign(key, seconds);
  }

  async removeLeftovers(now = Date.now()): Promise<number> {
    return await this.#segments.removePending(now - old);
  }

  fault(error: unknown, key: string): DriverError {
    const ask = { method: "GET", path: this.#objects.path(key), subject: key } as const;
    return this.#requests.failure(error, ask);
  }

  close(): void {
    void this.#identity.close();
  }

  /** Ceph's gateway tells the size of a list, and everyone tells that of a list of another kind as nothing. */
  async #sized(listed: readonly Listed[]): Promise<readonly Entry[]> {
    const sizes = new Map<string, number>();
    const untold = listed.filter(
      ({ key, size, hash }) => hash === hashOfNothing && !(size === 0 && isUploadRecord(key)),
    );
    await inLanes(untold, async ({ key, size }) => {
      sizes.set(key, (await this.#objects.find(key))?.size ?? size);
    });
    return listed.map(({ key, size, modified }) => ({ key, size: sizes.get(key) ?? size, modified }));
  }
}

function modifiedOf(headers: IncomingHttpHeaders): Date {
  return new Date(headers["last-modified"] ?? Date.now());
}
