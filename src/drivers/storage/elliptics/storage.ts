import { Readable } from "node:stream";
import { resolveRange } from "../byte-range.ts";
import type { ByteRange, Entry, Stat, StorageDriver } from "../driver.ts";
import { DriverError } from "../errors.ts";
import { exactly } from "../exact-size.ts";
import { joined } from "../joined.ts";
import { compareKeys } from "../key-order.ts";
import { KeyedLock } from "../keyed-lock.ts";
import { blocksOf, blockSize } from "./blocks.ts";
import { Claims, type ClaimTimes } from "./claims.ts";
import type { Cluster } from "./cluster.ts";
import { Contents } from "./contents.ts";
import { Directory, folderOf, pendingTag, walk } from "./directory.ts";
import type { Objects } from "./objects.ts";
import { pieces, Sources, step, type Source } from "./source.ts";
import { Tags } from "./tags.ts";
import { referredBy, Writing } from "./writing.ts";

/**
 * Objects in a cluster, as the Python registry kept them: its content under its key. What comes as more than a block is first
 * kept elsewhere, and then copied to its key, where it is seen when all of it is there. An object that replaces another, or
 * whose length was not known beforehand, refers to its content instead: one write shows it as a whole.
 */
export class EllipticsStorage implements StorageDriver {
  readonly name = "elliptics";
  readonly features = { redirect: false, localFiles: false } as const;
  readonly #cluster: Cluster;
  readonly #objects: Objects;
  readonly #directory: Directory;
  readonly #contents: Contents;
  readonly #tags: Tags;
  readonly #sources: Sources;
  readonly #writing: Writing;
  readonly #keys = new KeyedLock();

  constructor(cluster: Cluster, objects: Objects, claims?: ClaimTimes) {
    this.#cluster = cluster;
    this.#objects = objects;
    this.#tags = new Tags(cluster, objects);
    this.#directory = new Directory(objects, this.#tags);
    this.#contents = new Contents(objects, this.#tags);
    this.#sources = new Sources(objects, this.#contents);
    this.#writing = new Writing({
      objects,
      directory: this.#directory,
      contents: this.#contents,
      sources: this.#sources,
      claims: new Claims(this.#tags, claims),
    });
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const { source, first, start, end } = await this.#open(key, range);
    const release = source.content === undefined ? undefined : this.#contents.hold(source.content);
    const stream = Readable.from(pieces(source, first, start, end), { objectMode: false });
    if (release) stream.once("close", release);
    return stream;
  }

  async write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat> {
    const blocks = blocksOf(exactly(source, size));
    try {
      const first = await blocks.next();
      const second = first.done === true ? first : await blocks.next();
      if (second.done !== true && first.done !== true) {
        const content = await this.#contents.store(joined([first.value, second.value], blocks), size);
        return await this.#keys.run(key, async () => await this.#writing.publish(key, content, size));
      }
      const bytes = first.done === true ? Buffer.alloc(0) : first.value;
      return await this.#keys.run(key, async () => await this.#writing.writeSmall(key, bytes));
    } finally {
      await blocks.return(undefined);
    }
  }

  async stat(key: string): Promise<Stat> {
    const { size, modified } = this.#sources.of(key, await this.#directory.find(key));
    return { size, modified };
  }

  async *list(prefix: string, after = ""): AsyncGenerator<Entry> {
    for await (const found of walk(this.#directory, prefix, after)) {
      const { size, modified } = this.#sources.of(found.key, found);
      yield { key: found.key, size, modified };
    }
  }

  async *children(prefix: string, after = ""): AsyncGenerator<string> {
    const start = prefix === "" ? 0 : prefix.length + 1;
    const keys = (await this.#directory.keysIn(prefix)).filter((key) => compareKeys(key.slice(start), after) > 0);
    for await (const { key } of this.#directory.each(keys.toSorted(compareKeys))) yield key.slice(start);
  }

  async move(from: string, to: string): Promise<void> {
    await this.#transfer(from, to, true);
    if (from !== to) await this.#directory.tidy(folderOf(from));
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#transfer(from, to, false);
  }

  async link(from: string, to: string): Promise<void> {
    await this.copy(from, to);
  }

  async delete(key: string): Promise<void> {
    await this.#keys.run(key, async () => {
      await this.#remove(key);
    });
    await this.#directory.tidy(folderOf(key));
  }

  async redirectUrl(): Promise<undefined> {
    await Promise.resolve();
    return undefined;
  }

  localPath(): undefined {
    return undefined;
  }

  async ping(): Promise<void> {
    await this.#objects.ping();
  }

  async close(): Promise<void> {
    this.#cluster.close();
    await Promise.resolve();
  }

  /** Does what killed processes, and groups that were away, have left undone since before `time`. */
  async removeLeftovers(time: number): Promise<void> {
    for (const text of await this.#tags.all(pendingTag)) {
      const [, id, said] = /^content (\S+) (\d+)$/.exec(text) ?? [];
      const key = /^deleted ([^]*)$/.exec(text)?.[1];
      if (id !== undefined && Number(said) < time) await this.#writing.settle({ id, size: 0 });
      if (key !== undefined) await this.#removeAgain(key);
    }
  }

  async #transfer(from: string, to: string, moves: boolean): Promise<void> {
    if (from === to) {
      await this.stat(from);
      return;
    }
    const [one = from, other = to] = [from, to].sort(compareKeys);
    await this.#keys.run(one, async () => {
      await this.#keys.run(other, async () => {
        const { source, first } = await this.#open(from);
        const release = source.content && this.#contents.hold(source.content);
        try {
          await this.#writing.put(to, source, first);
        } finally {
          release?.();
        }
        if (moves) await this.#remove(from);
      });
    });
  }

  async #remove(key: string): Promise<void> {
    const found = await this.#directory.find(key);
    if (found?.form.kind === "folder") return;
    if (!found) {
      await this.#directory.unlist(key);
      return;
    }
    const content = referredBy(found);
    if (content) await this.#contents.pend(content);
    const wasOurs = await this.#directory.remove(key);
    if (content && wasOurs) await this.#writing.settle(content);
  }

  /** Where groups that were away are back, nothing has to say any more that an object is deleted. */
  async #removeAgain(key: string): Promise<void> {
    await this.#keys.run(key, async () => {
      const content = referredBy(await this.#directory.find(key));
      await this.#directory.removeAgain(key, content ? [this.#contents.userTag(content, key)] : []);
    });
    await this.#directory.tidy(folderOf(key));
  }

  /** The object, and the first bytes of what is asked for, before which nothing is sure. */
  async #open(
    key: string,
    range?: ByteRange,
  ): Promise<{ readonly source: Source; readonly first: Buffer; readonly start: number; readonly end: number }> {
    for (let attempt = 1; ; attempt++) {
      const source = this.#sources.of(key, await this.#directory.find(key));
      const { start, end } = resolveRange(range, source.size);
      try {
        const isWhole = source.content === undefined && source.size <= blockSize;
        const first =
          start === end
            ? Buffer.alloc(0)
            : await source.read(start, isWhole ? end - start : Math.min(step, end - start));
        return { source, first, start, end };
      } catch (error) {
        // It has been replaced or deleted since it was found.
        if (attempt === openings || !(error instanceof DriverError)) throw error;
      }
    }
  }
}

/** How often an object that changes while it is opened is opened again. */
const openings = 3;
