import { createHash } from "node:crypto";

/** The bytes of every id: of a key, a tag, a table, a place on the ring. */
export const idSize = 64;

/** An object and a tag of the same name have the same id. Without a namespace there is no separator either. */
export function idOf(namespace: string, name: string): Buffer {
  return hash(namespace === "" ? Buffer.from(name) : Buffer.from(`${namespace}\0${name}`));
}

/** Where the list of an object's tags is kept. */
export function objectTableId(id: Buffer): Buffer {
  return hash(id, Buffer.from("\0object_table\0"));
}

/** Where shard `shard` of `shards` of a tag's objects is kept: all tags of a shard have the same place on the ring. */
export function indexTableId(tag: Buffer, shard: number, shards: number): Buffer {
  const id = hash(tag, Buffer.from("\0index_table\0"));
  id.fill(0, 0, idSize / 2);
  id.writeUInt32BE(Math.floor((2 ** 32 * shard) / shards), 0);
  return id;
}

/** The shard of an object: its table's id, as a number, modulo the number of shards. */
export function shardOf(objectTable: Buffer, shards: number): number {
  let rest = 0;
  for (const byte of objectTable) rest = (rest * 256 + byte) % shards;
  return rest;
}

function hash(...parts: readonly Buffer[]): Buffer {
  const sum = createHash("sha512");
  for (const part of parts) sum.update(part);
  return sum.digest();
}
