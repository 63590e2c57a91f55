import { createHash, randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import { z } from "zod";
import { DriverError } from "../errors.ts";
import { isOfUpload } from "../layer-keys.ts";
import { headOf, orUndefined, uploadHeader, type Container, type ObjectHead } from "./container.ts";

/** A part of a large object, as the list of its parts names it. */
export interface Segment {
  /** Container and name, with a slash before each. */
  readonly path: string;
  readonly size_bytes: number;
  readonly etag: string;
}

/** So many requests are made at once for the parts of one object. */
const lanes = 8;
const pageSize = 10_000;

/** Asks for the list of parts itself. Of what is no list, all of it is answered, as ever; of other lists than these, nothing. */
export const asList = { "multipart-manifest": "get" } as const;

const manifest = z.array(z.object({ name: z.string(), bytes: z.number(), hash: z.string() }));
const marker = z.array(z.string());

/**
 * The parts of large objects, in a container of their own: `parts/UPLOAD/NUMBER` is a part, and `pending/UPLOAD` is there as
 * long as it isn't sure that exactly one object lists the parts of that upload. It holds the keys of those that may.
 */
export class Segments {
  readonly container: Container;
  readonly #objects: Container;

  constructor(container: Container, objects: Container) {
    this.container = container;
    this.#objects = objects;
  }

  newUpload(): string {
    return randomUUID();
  }

  /** The key of a part within the container of parts. Numbers begin with 1. */
  partKey(upload: string, part: number): string {
    return `parts/${upload}/${String(part).padStart(8, "0")}`;
  }

  /** The path of a part as lists of parts have it. */
  partPath(upload: string, part: number): string {
    return decodeURIComponent(this.container.path(this.partKey(upload, part)));
  }

  /** As `mark`, where it is known who else may: nobody but `keys`. */
  async pend(upload: string, keys: readonly string[]): Promise<void> {
    await this.container.put(`pending/${upload}`, { body: Buffer.from(JSON.stringify(keys)) });
  }

  /**
   * Says that the objects `keys` may list these parts from now on, beside those that may already. Answers all of them. To
   * be called before any of them does, or none does any more.
   */
  async mark(upload: string, ...keys: readonly string[]): Promise<readonly string[]> {
    const text = await orUndefined(this.container.read(`pending/${upload}`));
    const all = [...new Set([...(text === undefined ? [] : marker.parse(JSON.parse(text))), ...keys])];
    await this.pend(upload, all);
    return all;
  }

  /**
   * Looks which of `keys` list these parts, and removes the parts where none does. What can't be done now is done when
   * the store is looked through for what is pending.
   */
  async settle(upload: string, keys: readonly string[]): Promise<void> {
    try {
      const users = [];
      for (const key of keys) if ((await this.#objects.find(key))?.upload === upload) users.push(key);
      if (users.length > 1) {
        await this.pend(upload, users);
        return;
      }
      if (users.length === 0) await this.#removeParts(upload);
      await this.unmark(upload);
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
    }
  }

  /** Says that it is sure who lists these parts. What can't be said now is when the store is looked through for what is pending. */
  async unmark(upload: string): Promise<void> {
    await this.container.delete(`pending/${upload}`, true).catch((error: unknown) => {
      if (!(error instanceof DriverError)) throw error;
    });
  }

  /**
   * Puts the list of parts at `key`, after which it is an object of `size` bytes. The parts of what was there are removed.
   * REFUSED where the server has no large objects.
   */
  async publish(key: string, upload: string, segments: readonly Segment[], size: number): Promise<ObjectHead> {
    return await this.replacing(key, async () => {
      const body = Buffer.from(JSON.stringify(segments));
      const put = { headers: { [uploadHeader]: upload }, body, query: { "multipart-manifest": "put" } };
      const { headers } = await this.#objects.put(key, put);
      // An upload's key is nobody else's, and this answer says that all parts were found as they are listed. Ceph's gateway says less.
      const isSure = isOfUpload(key) && headers.etag === etagOf(segments);
      if (isSure) return { ...headOf(headers), size, isLarge: true, upload };
      const head = await this.#objects.head(key, true);
      if (head.isLarge && head.upload === upload && head.size !== size) {
        throw new DriverError("UNAVAILABLE", `${key} has ${head.size} bytes, and ${size} were stored`);
      }
      if (head.isLarge || head.size !== body.length) return head;
      await this.#objects.delete(key, true);
      throw new DriverError("REFUSED", "the server has no static large objects (slo): it can't store what is so large");
    });
  }

  /** Does what puts another object at `key`, and removes the parts of what was there. Among uploads nothing is replaced. */
  async replacing<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (isOfUpload(key)) return await work();
    const old = (await this.#objects.find(key))?.upload;
    const keys = old === undefined ? [] : await this.mark(old, key);
    const result = await work();
    if (old !== undefined) await this.settle(old, keys);
    return result;
  }

  /** Whether these are the parts of an upload as they were stored, which nobody changes. */
  areOf(upload: string, list: readonly Segment[]): boolean {
    return list.every(({ path }, index) => path === this.partPath(upload, index + 1));
  }

  /** Opens a part of an upload. Rejects where it is not what its list says. */
  async open({ path, size_bytes, etag }: Segment): Promise<Readable> {
    const key = path.slice(decodeURIComponent(this.container.path("")).length);
    const { headers, body } = await this.container.get(key);
    const head = headOf(headers);
    if (head.size === size_bytes && head.etag.replaceAll('"', "") === etag) return body;
    body.destroy();
    throw new DriverError("UNAVAILABLE", `${key} is not what the list of parts says`);
  }

  /** The parts that an object lists, in their order; undefined where the server doesn't tell. */
  async listOf(key: string, { upload, size }: ObjectHead): Promise<readonly Segment[] | undefined> {
    const said = parseManifest(await this.#objects.read(key, asList));
    if (said.length > 0) return said;
    if (upload === undefined) return undefined;
    // Ceph's gateway answers nothing. Its own list of the parts is complete.
    const parts = await this.#partsOf(upload);
    const total = parts.reduce((sum, part) => sum + part.size_bytes, 0);
    return total === size ? parts : undefined;
  }

  /** Removes the parts of uploads that have been pending since before `time`, where no object lists them. Answers how many uploads those were. */
  async removePending(time: number): Promise<number> {
    let removed = 0;
    for (let after: string | undefined = ""; after !== undefined;) {
      const page = await this.container.list({ prefix: "pending/", after, folded: false, limit: pageSize });
      const old = page?.objects.filter(({ modified }) => modified.getTime() < time) ?? [];
      for (const { key } of old) {
        const upload = key.slice("pending/".length);
        await this.settle(upload, await this.mark(upload));
        const isGone = (await this.container.list({ prefix: `parts/${upload}/`, after: "", folded: false, limit: 1 }))?.objects.length === 0; // prettier-ignore
        if (isGone) removed++;
      }
      after = page?.isLast === false ? page.objects.at(-1)?.key : undefined;
    }
    return removed;
  }

  async #partsOf(upload: string): Promise<readonly Segment[]> {
    const parts: Segment[] = [];
    for (let after: string | undefined = ""; after !== undefined;) {
      const page = await this.container.list({ prefix: `parts/${upload}/`, after, folded: false, limit: pageSize });
      for (const { key, size, hash } of page?.objects ?? []) {
        parts.push({ path: decodeURIComponent(this.container.path(key)), size_bytes: size, etag: hash });
      }
      after = page?.isLast === false ? page.objects.at(-1)?.key : undefined;
    }
    return parts;
  }

  async #removeParts(upload: string): Promise<void> {
    for (;;) {
      const page = await this.container.list({ prefix: `parts/${upload}/`, after: "", folded: false, limit: pageSize });
      const keys = page?.objects.map(({ key }) => key) ?? [];
      if (keys.length === 0) return;
      await inLanes(keys, async (key) => {
        await orUndefined(this.container.delete(key, true));
      });
    }
  }
}

/** The parts that a server's answer lists; none where it answers with something else. */
export function parseManifest(text: string): readonly Segment[] {
  const listed = text.startsWith("[") ? manifest.parse(JSON.parse(text)) : [];
  return listed.map(({ name, bytes, hash }) => ({ path: name, size_bytes: bytes, etag: hash }));
}

/** As Swift makes it for the object that the parts are. */
export function etagOf(list: readonly Segment[]): string {
  const hash = createHash("md5");
  for (const { etag } of list) hash.update(etag);
  return `"${hash.digest("hex")}"`;
}

/** Does `work` with each of `items`, some at once. After a failure no more are begun; it rejects when none is under way. */
export async function inLanes<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item !== undefined) await work(item, index);
    }
  };
  const running = Array.from({ length: lanes }, async () => {
    try {
      await lane();
    } catch (error) {
      next = items.length;
      throw error;
    }
  });
  await Promise.allSettled(running);
  await Promise.all(running);
}
