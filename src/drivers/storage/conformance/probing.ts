import { createHash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ByteRange, StorageDriver } from "../driver.ts";
import { DriverError } from "../errors.ts";
import type { Random } from "./random.ts";

/** A source that yields each of `parts`. */
export async function* source(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (const part of parts) yield typeof part === "string" ? Buffer.from(part) : part;
}

/** A source that yields `parts` and then throws `error`. */
export async function* broken(error: Error, ...parts: readonly string[]): AsyncGenerator<Uint8Array> {
  yield* source(...parts);
  throw error;
}

/** A source of `size` bytes that holds no memory of its own: one block, over and over. */
export async function* repeated(block: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (let rest = size; rest > 0; rest -= block.length) yield block.subarray(0, Math.min(rest, block.length));
}

/** Bytes in which any shift or swap shows: runs of random length and value. */
export function randomBytes(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length;) {
    const end = Math.min(length, at + 1 + random(64));
    bytes.fill(random(256), at, end);
    at = end;
  }
  return bytes;
}

/** Stores text. */
export async function put(driver: StorageDriver, key: string, text: string): Promise<void> {
  await driver.write(key, source(text));
}

/** All bytes of an object, or of a range of it. */
export async function bytesOf(driver: StorageDriver, key: string, range?: ByteRange): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await driver.read(key, range)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The object's text. */
export async function textOf(driver: StorageDriver, key: string, range?: ByteRange): Promise<string> {
  return (await bytesOf(driver, key, range)).toString();
}

/** Whether the object exists, by `stat`. */
export async function exists(driver: StorageDriver, key: string): Promise<boolean> {
  return (await outcome(driver.stat(key))) !== "NOT_FOUND";
}

/** The keys that `list` yields. */
export async function keysOf(driver: StorageDriver, prefix: string, after?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of driver.list(prefix, after)) keys.push(key);
  return keys;
}

/** The names that `children` yields. */
export async function namesOf(driver: StorageDriver, prefix: string, after?: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of driver.children(prefix, after)) names.push(name);
  return names;
}

/** The first thing that `items` yields; the rest is not asked for. */
export async function first<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

/** "done", or the code of the `DriverError` that it rejects with. Any other rejection passes through. */
export async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    if (error instanceof DriverError) return error.code;
    throw error;
  }
}

/** What it rejects with; fails when it does not. */
export async function rejection(work: Promise<unknown>): Promise<unknown> {
  let result: unknown;
  try {
    result = await work;
  } catch (error) {
    return error;
  }
  throw new Error(`should have been rejected, but answered ${String(result)}`);
}

/** The sha256 of all that `chunks` yields. */
export async function hashOf(chunks: AsyncIterable<unknown>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of chunks) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/** Bytes of buffers that are really in use, after a garbage collection. */
export function bufferBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers;
}
