import { randomUUID } from "node:crypto";
import type { StorageDriver } from "../drivers/storage/driver.ts";
import { sourceOf } from "../drivers/storage/source-of.ts";
import { probeKey } from "./registry/paths.ts";

/** More than any driver sends by one request: it has to take parts. */
const large = 9 * 1_048_576;
const content = Buffer.from("0123456789");

/** What a registry does with its storage. */
interface Right {
  /** What goes behind "it can't". */
  readonly name: string;
  /** Rejects when it can't. */
  readonly use: () => Promise<unknown>;
}

/**
 * Uses every right that a registry needs, on objects of its own below the store, and takes them away. Answers what was
 * done; rejects with the names of all rights that are missing and why. With `redirects`, clients are sent there too.
 */
export async function probeStorage(driver: StorageDriver, redirects: boolean): Promise<string> {
  const folder = probeKey(randomUUID());
  const [object, copy, parts] = [`${folder}/object`, `${folder}/copy`, `${folder}/parts`];
  const keys = [object, copy, parts];
  try {
    await driver.write(object, sourceOf(content), content.length);
  } catch (cause) {
    await driver.delete(object).catch(() => undefined);
    throw new Error(`it can't write: ${reasonOf(cause)}`, { cause });
  }
  const signed = {
    name: "let clients read by signed URLs",
    use: async () => {
      await readSigned(driver, object);
    },
  };
  const rights: readonly Right[] = [
    {
      name: "read",
      use: async () => {
        await expectContent(driver, object);
      },
    },
    {
      name: "read a range",
      use: async () => {
        await expectContent(driver, object, 2, 5);
      },
    },
    {
      name: "list",
      use: async () => {
        await expectListed(driver, folder);
      },
    },
    { name: "copy", use: async () => { await driver.copy(object, copy); } }, // prettier-ignore
    { name: "write in parts", use: async () => await driver.write(parts, zeros(large)) },
    ...(redirects && driver.features.redirect ? [signed] : []),
    { name: "delete", use: async () => await Promise.all(keys.map(async (key) => { await driver.delete(key); })) }, // prettier-ignore
  ];
  const missing: { readonly name: string; readonly error: unknown }[] = [];
  for (const { name, use } of rights) {
    await use().catch((error: unknown) => missing.push({ name, error }));
  }
  const [first] = missing;
  if (!first) return `it can write, ${rights.map(({ name }) => name).join(", ")}`;
  const names = missing.map(({ name }) => name).join(", ");
  throw new Error(`it can't ${names}: ${reasonOf(first.error)}`, { cause: first.error });
}

async function expectContent(driver: StorageDriver, key: string, start = 0, end = content.length): Promise<void> {
  const chunks: Uint8Array[] = [];
  const range = end - start < content.length ? { start, end } : undefined;
  for await (const chunk of (await driver.read(key, range)) as AsyncIterable<Uint8Array>) chunks.push(chunk);
  if (!Buffer.concat(chunks).equals(content.subarray(start, end))) throw new Error("it gives back something else");
}

async function expectListed(driver: StorageDriver, folder: string): Promise<void> {
  for await (const { size } of driver.list(folder)) if (size === content.length) return;
  throw new Error("it does not list what was written");
}

async function readSigned(driver: StorageDriver, key: string): Promise<void> {
  const url = await driver.redirectUrl(key, { seconds: 60 });
  if (url === undefined) throw new Error("it gives none");
  const answer = await fetch(url, { headers: { range: "bytes=2-4" }, signal: AbortSignal.timeout(5_000) });
  if ((await answer.text()) !== "234") throw new Error(`the URL answers HTTP ${answer.status}`);
}

async function* zeros(size: number): AsyncGenerator<Uint8Array> {
  const block = Buffer.alloc(65_536);
  for (let rest = size; rest > 0; rest -= block.length) yield await Promise.resolve(block);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
