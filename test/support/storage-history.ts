import type { StorageDriver } from "../../src/drivers/storage/driver.ts";
import type { Random } from "./random.ts";
import { bytesOf, keysOf } from "./storage-content.ts";

/** One change to a few objects that nobody else changes. */
export type Change =
  | { readonly kind: "write"; readonly key: string; readonly content: number }
  | { readonly kind: "move" | "copy"; readonly key: string; readonly to: string }
  | { readonly kind: "delete"; readonly key: string };

/** Which content, by its number, is at which key. */
export type Content = ReadonlyMap<string, number>;

/** What `change` makes of `before`. */
export function changed(before: Content, change: Change): Content {
  const after = new Map(before);
  if (change.kind === "write") after.set(change.key, change.content);
  else if (change.kind !== "delete") after.set(change.to, before.get(change.key) ?? -1);
  if (change.kind === "delete" || change.kind === "move") after.delete(change.key);
  return after;
}

/** A change that is possible after `before`: mostly writes, of new content below `prefix`. */
export function nextChange(before: Content, prefix: string, content: number, random: Random): Change {
  const anyKey = (): string => `${prefix}/${random(2)}/${random(3)}/object`;
  const keys = [...before.keys()];
  const key = keys[random(keys.length + 1)];
  const kind = (["write", "write", "write", "move", "copy", "delete"] as const)[random(6)] ?? "write";
  if (kind === "write" || key === undefined) return { kind: "write", key: anyKey(), content };
  if (kind === "delete") return { kind, key };
  const to = anyKey();
  return to === key ? { kind: "delete", key } : { kind, key, to };
}

/** Makes the change in the store. */
export async function makeChange(driver: StorageDriver, change: Change): Promise<void> {
  if (change.kind === "write") await write(driver, change.key, change.content);
  else if (change.kind === "delete") await driver.delete(change.key);
  else await driver[change.kind](change.key, change.to);
}

/** What the store holds below `prefix`; an object that is no content as a whole has the number -1. */
export async function contentBelow(driver: StorageDriver, prefix: string): Promise<Content> {
  const found = new Map<string, number>();
  for (const key of await keysOf(driver, prefix)) {
    const bytes = await bytesOf(driver, key);
    const number = bytes.length < 4 ? -1 : bytes.readUInt32BE();
    found.set(key, number !== -1 && contentOf(number).equals(bytes) ? number : -1);
  }
  return found;
}

/** Whether both hold the same at the same keys. */
export function sameContent(a: Content, b: Content): boolean {
  return a.size === b.size && [...a].every(([key, number]) => b.get(key) === number);
}

/** What is in memory as a whole says how long it is, as the registry's small objects do. */
async function write(driver: StorageDriver, key: string, number: number): Promise<void> {
  const bytes = contentOf(number);
  if (number % 4 === 1 && driver.writeInSteps) await driver.writeInSteps([[{ key, bytes }]]);
  else await driver.write(key, pieces(bytes), number % 5 === 0 ? undefined : bytes.length);
}

/** Half of them up to 30 kB, the others up to 300 kB, every tenth up to 3 MB; tells its own number. */
function contentOf(number: number): Buffer {
  const size = 4 + ((number * 7_919) % (number % 10 === 0 ? 3_000_000 : number % 2 === 0 ? 300_000 : 30_000));
  const bytes = Buffer.alloc(size, `content ${number} `);
  bytes.writeUInt32BE(number);
  return bytes;
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) {
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes.subarray(at, at + 65_536);
  }
}
