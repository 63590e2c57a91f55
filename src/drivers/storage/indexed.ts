import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { resolveRange } from "./byte-range.ts";
import { completed } from "./completed.ts";
import type { Stat, StorageDriver } from "./driver.ts";
import { DriverError } from "./errors.ts";
import { exactly } from "./exact-size.ts";
import { compareKeys } from "./key-order.ts";

/**
 * What a database has to do to be a storage: keep texts under keys, in the order of the bytes of the keys, and contents
 * under ids. Ids are UUIDs and never used again. A text is the id, of 36 characters, of the content it is about, the number of
 * its bytes and the time, with a space between them.
 */
export interface Index {
  readonly name: string;
  /**
   * Adds bytes to a content, which is new at first, and answers how many it has then. One that gets no more, and that no
   * text names, may be deleted after an hour.
   */
  append(id: string, bytes: Buffer): Promise<number>;
  /** The bytes of a content from `start` up to `end`, which is not among them. */
  slice(id: string, start: number, end: number): Promise<Uint8Array>;
  /** The texts under the keys, in their order; null or undefined where there is none. */
  texts(keys: readonly string[]): Promise<readonly (string | null | undefined)[]>;
  /**
   * Puts a text under a key, or takes it away, in one step and durably, with the content that the text names; rejects when
   * that is no longer there. That of the text before is kept for an hour: somebody may be reading it.
   */
  replace(key: string, text: string | undefined): Promise<unknown>;
  /** The first keys, at most `limit`, beyond `after` and before `before`; an empty `after` and no `before` are no bounds. */
  keys(after: string, before: string | undefined, limit: number): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** The bytes of a content that are asked for at once, and the keys of a listing. */
const step = 262_144;
const page = 1_000;

interface Found extends Stat {
  readonly id: string;
}

/** A whole driver over a database, which need not know what an object is. What `index` fails with is UNAVAILABLE. */
export function indexed(index: Index): StorageDriver {
  const { name } = index;
  const ask = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof DriverError) throw cause;
      throw new DriverError("UNAVAILABLE", `${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause }); // prettier-ignore
    }
  };
  const find = async (key: string): Promise<Found> => {
    const [text] = await ask(() => index.texts([key]));
    if (typeof text !== "string") throw new DriverError("NOT_FOUND", `${key} does not exist`);
    return parsed(text);
  };
  async function* pieces(id: string, start: number, end: number): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; at += step) yield await ask(() => index.slice(id, at, Math.min(at + step, end)));
  }
  return completed({
    name,
    read: async (key, range) => {
      const { id, size } = await find(key);
      const { start, end } = resolveRange(range, size);
      return Readable.from(pieces(id, start, end), { objectMode: false });
    },
    write: async (key, source, expected) => {
      const [id, modified] = [randomUUID(), new Date()];
      let size = 0;
      for await (const chunk of exactly(source, expected)) {
        size += chunk.length;
        const kept = await ask(() => index.append(id, Buffer.from(chunk)));
        if (kept !== size) throw new DriverError("UNAVAILABLE", `${name} has kept ${kept} of ${size} bytes of ${key}`);
      }
      await ask(() => index.replace(key, `${id} ${size} ${modified.getTime()}`));
      return { size, modified };
    },
    stat: async (key) => {
      const { size, modified } = await find(key);
      return { size, modified };
    },
    list: async function* (prefix, after = "") {
      // What is below a prefix lies between its slash and the byte that follows a slash.
      const [first, before] = prefix === "" ? ["", undefined] : [`${prefix}/`, `${prefix}0`];
      let last = compareKeys(after, first) > 0 ? after : first;
      for (;;) {
        const from = last;
        const keys = before !== undefined && compareKeys(from, before) >= 0 ? [] : await ask(() => index.keys(from, before, page)); // prettier-ignore
        const texts = keys.length === 0 ? [] : await ask(() => index.texts(keys));
        for (const [at, key] of keys.entries()) {
          const text = texts[at];
          if (typeof text !== "string") continue;
          const { size, modified } = parsed(text);
          yield { key, size, modified };
        }
        if (keys.length < page) return;
        last = keys.at(-1) ?? last;
      }
    },
    delete: async (key) => {
      await ask(() => index.replace(key, undefined));
    },
    ping: async () => {
      await ask(() => index.keys("", undefined, 1));
    },
    close: async () => {
      await index.close();
    },
  });
}

function parsed(text: string): Found {
  const [id = "", size, time] = text.split(" ");
  return { id, size: Number(size), modified: new Date(Number(time)) };
}
