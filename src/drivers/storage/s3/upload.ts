import type { Stat } from "../driver.ts";
import { exactly } from "../exact-size.ts";
import type { ObjectBucket, PartUpload } from "./object-bucket.ts";
import type { PartMemory } from "./part-memory.ts";

const mebibyte = 1_048_576;
/** What servers take: no part but the last is smaller, and there are no more of them. */
const smallestPart = 5 * mebibyte;
const usuallyMost = 10_000;
/** Where the size is not known, parts are twice as long after so many parts of all: 10,000 of them come to 484 GiB. */
const growth = 1 / 5;
/** The first buffer where nobody knows how much will come: most objects are small. */
const firstBuffer = 65_536;

type Uploads = Pick<ObjectBucket, "tuning" | "put" | "begin">;

/**
 * Stores what `source` yields: by one request when it fits into a part, else part by part, each being sent while the next
 * is gathered. After any failure nothing is left of it, as far as the server can be reached.
 */
export async function upload(
  bucket: Uploads,
  key: string,
  source: AsyncIterable<Uint8Array>,
  memory: PartMemory,
  size?: number,
): Promise<Stat> {
  const { partSize, mostParts } = bucket.tuning;
  const lengths = partLengths(partSize, memory.isTight, size, mostParts);
  let multipart: PartUpload | undefined;
  let sending: Promise<void> = Promise.resolve();
  let sent = 0;
  let count = 0;
  let isFirst = true;
  const send = async ({ buffer, filled }: Part, before: Promise<void>): Promise<void> => {
    try {
      await before;
      multipart ??= await bucket.begin(key);
      await multipart.put(++count, buffer.subarray(0, filled));
      sent += filled;
    } finally {
      memory.give(buffer);
    }
  };
  try {
    for await (const part of gathered(exactly(source, size), lengths, memory)) {
      if (part.isLast && isFirst) return await put(bucket, key, part, memory);
      isFirst = false;
      const before = sending;
      sending = send(part, before);
      // It is awaited below; until then its failure must not count as nobody's.
      sending.catch(() => undefined);
      await (memory.hasRoom(lengths(count)) ? before : sending);
    }
    await sending;
    if (multipart === undefined) throw new Error("an upload has one part at least");
    return await multipart.complete(sent);
  } catch (error) {
    await sending.catch(() => undefined);
    await multipart?.abort();
    throw error;
  }
}

async function put(bucket: Uploads, key: string, { buffer, filled }: Part, memory: PartMemory): Promise<Stat> {
  try {
    return await bucket.put(key, buffer.subarray(0, filled));
  } finally {
    memory.give(buffer);
  }
}

interface Part {
  readonly buffer: Buffer;
  readonly filled: number;
  readonly isLast: boolean;
}

/** The bytes of `source` in parts, one at least. Whoever gets a part gives its buffer back. */
async function* gathered(
  source: AsyncIterable<Uint8Array>,
  lengths: (index: number) => number,
  memory: PartMemory,
): AsyncGenerator<Part> {
  let index = 0;
  let filled = 0;
  let buffer = memory.take(Math.min(lengths(0), firstBuffer));
  let isOurs = true;
  try {
    for await (const chunk of source) {
      for (let rest = chunk; rest.length > 0;) {
        if (filled === buffer.length && filled < lengths(index)) {
          const longer = memory.take(Math.min(filled * 4, lengths(index)));
          buffer.copy(longer);
          memory.give(buffer);
          buffer = longer;
        } else if (filled === buffer.length) {
          isOurs = false;
          yield { buffer, filled, isLast: false };
          index++;
          filled = 0;
          buffer = memory.take(lengths(index));
          isOurs = true;
        }
        const taken = rest.subarray(0, buffer.length - filled);
        buffer.set(taken, filled);
        filled += taken.length;
        rest = rest.subarray(taken.length);
      }
    }
    isOurs = false;
    yield { buffer, filled, isLast: true };
  } finally {
    if (isOurs) memory.give(buffer);
  }
}

/**
 * How many bytes each part should have, by its index from 0, so that there are no more parts than servers take. Where
 * memory `isTight`, parts are as small as servers allow.
 */
export function partLengths(
  partSize: number,
  isTight: boolean,
  size: number | undefined,
  mostParts = usuallyMost,
): (index: number) => number {
  const base = isTight ? Math.min(partSize, smallestPart) : partSize;
  if (size === undefined) return (index) => base * 2 ** Math.floor(index / (mostParts * growth));
  const needed = Math.ceil(size / mostParts / mebibyte) * mebibyte;
  const length = size <= base ? Math.max(size, 1) : Math.max(base, needed);
  return () => length;
}
