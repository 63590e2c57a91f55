import { Readable } from "node:stream";
import { resolveRange } from "../byte-range.ts";
import type { ByteRange, Entry, Stat, StorageDriver } from "../driver.ts";
import { DriverError } from "../errors.ts";
import { exactly } from "../exact-size.ts";
import { compareKeys } from "../key-order.ts";
import { KeyedLock } from "../keyed-lock.ts";
import { blocksOf, blockSize, writeBlocks } from "./blocks.ts";
import { Claims, type ClaimTimes } from "./claims.ts";
import type { Cluster } from "./cluster.ts";
import { Contents } from "./contents.ts";
import { Directory, folderOf, pendingTag, walk, type Found } from "./directory.ts";
import { emptyBytes, formOf, referenceTo, type ContentRef } from "./forms.ts";
import type { Objects } from "./objects.ts";
import { pieces, Sources, step, wholly, type Source } from "./source.ts";
import { Tags } from "./tags.ts";

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
  readonly #claims: Claims;
  readonly #sources: Sources;
  readonly #keys = new KeyedLock();

  constructor(cluster: Cluster, objects: Objects, claims?: ClaimTimes) {
    this.#cluster = cluster;
    this.#objects = objects;
    this.#tags = new Tags(cluster, objects);
    this.#directory = new Directory(objects, this.#tags);
    this.#contents = new Contents(objects, this.#tags);
    this.#claims = new Claims(this.#tags, claims);
    this.#sources = new Sources(objects, this.#contents);
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
        return await this.#writeLarge(key, continued([first.value, second.value], blocks), size);
      }
      const bytes = first.done === true ? Buffer.alloc(0) : first.value;
      return await this.#keys.run(key, async () => await this.#writeSmall(key, bytes));
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
    const wasThere = await this.#keys.run(key, async () => await this.#remove(key));
    if (wasThere) await this.#directory.tidy(folderOf(key));
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
      if (id !== undefined && Number(said) < time) await this.#settle({ id, size: 0 });
      if (key !== undefined) await this.#removeAgain(key);
    }
  }

  async #writeSmall(key: string, bytes: Buffer): Promise<Stat> {
    const stored = bytes.length === 0 ? emptyBytes : bytes;
    if (bytes.length > 0 && formOf(bytes).kind !== "plain") {
      return await this.#refer(key, await this.#contents.store(continued([bytes]), bytes.length));
    }
    const { modified } = await this.#replacing(key, async () => {
      return await this.#directory.place(key, async () => await this.#objects.write(key, stored));
    });
    return { size: bytes.length, modified };
  }

  async #writeLarge(key: string, blocks: AsyncIterable<Buffer>, size: number | undefined): Promise<Stat> {
    const content = await this.#contents.store(blocks, size);
    return await this.#keys.run(key, async () => {
      if (size === undefined || (await this.#occupied(key))) return await this.#refer(key, content);
      const stat = await this.#copyTo(key, this.#sources.in(content, new Date()));
      await this.#contents.remove(content);
      return stat;
    });
  }

  /** Makes the object one that refers to a content, which is pending until then. */
  async #refer(key: string, content: ContentRef): Promise<Stat> {
    const { modified } = await this.#replacing(key, async () => {
      const tags = [this.#contents.userTag(content, key)];
      return await this.#directory.place(key, async () => await this.#objects.write(key, referenceTo(content)), tags);
    });
    await this.#contents.unpend(content);
    return { size: content.size, modified };
  }

  /**
   * Writes the content under the key itself, where nothing is. Readers find nothing until the last block is there. Where somebody
   * else has put something there meanwhile, it is they who see it replaced: not before all is kept elsewhere.
   */
  async #copyTo(key: string, source: Source): Promise<Stat> {
    return await this.#claims.run(key, async (assure) => {
      if (await this.#occupied(key))
        return await this.#refer(key, await this.#contents.store(wholly(source), source.size));
      return await this.#directory.place(key, async () => {
        return await writeBlocks(this.#objects, key, wholly(source, assure), source.size);
      });
    });
  }

  /** Does what puts another object at the key, and removes the content of what was there. INVALID_KEY where that is a folder. */
  async #replacing<T>(key: string, work: () => Promise<T>): Promise<T> {
    const content = referredBy(await this.#occupied(key));
    if (content) await this.#contents.pend(content);
    const result = await work();
    if (content) await this.#settle(content);
    return result;
  }

  /** What is at the key. A folder that has nothing in it makes room. */
  async #occupied(key: string): Promise<Found | undefined> {
    let found = await this.#directory.find(key);
    if (found?.form.kind === "folder") {
      await this.#directory.tidy(key);
      found = await this.#directory.find(key);
    }
    if (found?.form.kind === "folder") throw new DriverError("INVALID_KEY", `${key} is a folder`);
    return found;
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
          await this.#put(to, source, first);
        } finally {
          release?.();
        }
        if (moves) await this.#remove(from);
      });
    });
  }

  async #put(key: string, source: Source, first: Buffer): Promise<void> {
    if (source.size <= blockSize) {
      const bytes = first.length === source.size ? first : await source.read(0, source.size);
      await this.#writeSmall(key, bytes);
    } else if (await this.#occupied(key)) {
      await this.#refer(key, await this.#contents.store(wholly(source), source.size));
    } else {
      await this.#copyTo(key, source);
    }
  }

  /** Answers whether there was something. */
  async #remove(key: string): Promise<boolean> {
    const found = await this.#directory.find(key);
    if (found?.form.kind === "folder") return false;
    if (!found) {
      await this.#directory.unlist(key);
      return false;
    }
    const content = referredBy(found);
    if (content) await this.#contents.pend(content);
    const wasOurs = await this.#directory.remove(key);
    if (content && wasOurs) await this.#settle(content);
    return true;
  }

  /** Where groups that were away are back, nothing has to say any more that an object is deleted. */
  async #removeAgain(key: string): Promise<void> {
    await this.#keys.run(key, async () => {
      const content = referredBy(await this.#directory.find(key));
      await this.#directory.removeAgain(key, content ? [this.#contents.userTag(content, key)] : []);
    });
    await this.#directory.tidy(folderOf(key));
  }

  async #settle(content: ContentRef): Promise<void> {
    const settle = async (): Promise<void> => {
      await this.#contents.settle(content, () => {
        settle().catch(() => undefined);
      });
    };
    // What can't be removed now is found among what is pending.
    await settle().catch(() => undefined);
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

function referredBy(found: Found | undefined): ContentRef | undefined {
  return found?.form.kind === "reference" ? found.form.content : undefined;
}

/** How often an object that changes while it is opened is opened again. */
const openings = 3;

async function* continued<T>(begun: readonly T[], rest?: AsyncIterable<T>): AsyncGenerator<T> {
  yield* begun;
  if (rest) yield* rest;
}
