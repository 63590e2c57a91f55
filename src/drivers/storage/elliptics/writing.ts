import type { Stat } from "../driver.ts";
import { DriverError } from "../errors.ts";
import { joined } from "../joined.ts";
import { blockSize, writeBlocks } from "./blocks.ts";
import type { Claims } from "./claims.ts";
import type { Contents } from "./contents.ts";
import type { Directory, Found } from "./directory.ts";
import { emptyBytes, formOf, referenceTo, type ContentRef } from "./forms.ts";
import type { Objects } from "./objects.ts";
import { wholly, type Sources, type Source } from "./source.ts";

/** Puts objects at their keys. Whoever calls has the key's turn in this process. */
export class Writing {
  readonly #objects: Objects;
  readonly #directory: Directory;
  readonly #contents: Contents;
  readonly #sources: Sources;
  readonly #claims: Claims;

  constructor(parts: {
    readonly objects: Objects;
    readonly directory: Directory;
    readonly contents: Contents;
    readonly sources: Sources;
    readonly claims: Claims;
  }) {
    this.#objects = parts.objects;
    this.#directory = parts.directory;
    this.#contents = parts.contents;
    this.#sources = parts.sources;
    this.#claims = parts.claims;
  }

  /** An object of at most a block, by one write: everybody sees all of it or what was there before. The caller has the key's turn. */
  async writeSmall(key: string, bytes: Buffer): Promise<Stat> {
    const stored = bytes.length === 0 ? emptyBytes : bytes;
    if (bytes.length > 0 && formOf(bytes).kind !== "plain") {
      return await this.#refer(key, await this.#contents.store(joined([bytes]), bytes.length));
    }
    const { modified } = await this.#replacing(key, async () => {
      return await this.#directory.place(key, async () => await this.#objects.write(key, stored));
    });
    return { size: bytes.length, modified };
  }

  /** A content that was stored for the object, and is pending. Where its `size` was not known, it may stay where it is. */
  async publish(key: string, content: ContentRef, size: number | undefined): Promise<Stat> {
    const isFree = size !== undefined && (await this.#isFree(key));
    if (!isFree) return await this.#refer(key, content);
    try {
      return await this.#copyTo(key, this.#sources.in(content, new Date()));
    } finally {
      await this.#contents.remove(content).catch(leftPending);
    }
  }

  /** Makes the object one that refers to a content, which is pending until then. */
  async #refer(key: string, content: ContentRef): Promise<Stat> {
    try {
      const { modified } = await this.#replacing(key, async () => {
        const tags = [this.#contents.userTag(content, key)];
        return await this.#directory.place(key, async () => await this.#objects.write(key, referenceTo(content)), tags);
      });
      await this.#contents.unpend(content).catch(leftPending);
      return { size: content.size, modified };
    } catch (error) {
      // Where it isn't sure that nothing refers to it, that is found out when it has to have come.
      const isSure = error instanceof DriverError && error.code !== "UNAVAILABLE";
      if (isSure) await this.#contents.remove(content).catch(leftPending);
      throw error;
    }
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
    if (content) await this.settle(content);
    return result;
  }

  /** Whether nothing is at the key; where that can't be told, it is not sure to be free. */
  async #isFree(key: string): Promise<boolean> {
    try {
      return (await this.#occupied(key)) === undefined;
    } catch {
      return false;
    }
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

  /** What is at another key, of which `first` are the first bytes. */
  async put(key: string, source: Source, first: Buffer): Promise<void> {
    if (source.size <= blockSize) {
      const bytes = first.length === source.size ? first : await source.read(0, source.size);
      await this.writeSmall(key, bytes);
    } else if (await this.#occupied(key)) {
      await this.#refer(key, await this.#contents.store(wholly(source), source.size));
    } else {
      await this.#copyTo(key, source);
    }
  }

  /** Removes a pending content, unless an object refers to it. */
  async settle(content: ContentRef): Promise<void> {
    const settle = async (): Promise<void> => {
      await this.#contents.settle(content, () => {
        settle().catch(() => undefined);
      });
    };
    await settle().catch(leftPending);
  }
}

/** The content that an object refers to. */
export function referredBy(found: Found | undefined): ContentRef | undefined {
  return found?.form.kind === "reference" ? found.form.content : undefined;
}

/** What can't be removed now is found among what is pending. */
function leftPending(): undefined {
  return undefined;
}
