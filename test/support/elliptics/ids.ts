import { createHash } from "node:crypto";

/** The id of a key, and of a tag: both are named alike. */
export function keyId(key: string | Buffer, namespace = "DOCKER"): Buffer {
  return sha512(namespace === "" ? "" : `${namespace}\0`, key);
}

/** Where the list of an object's tags lies. */
export function objectTableId(id: Buffer): Buffer {
  return sha512(id, "\0object_table\0");
}

/** Where a tag's list of its objects in one shard lies. */
export function indexTableId(tag: Buffer, shard: number, shards: number): Buffer {
  const id = sha512(tag, "\0index_table\0").fill(0, 0, 32);
  id.writeUInt32BE(Number((BigInt(shard) << 32n) / BigInt(shards)), 0);
  return id;
}

/** The shard that an object's tags are in. */
export function shardOf(id: Buffer, shards: number): number {
  return Number(BigInt(`0x${objectTableId(id).toString("hex")}`) % BigInt(shards));
}

/** The SHA-512 of all parts. */
export function sha512(...parts: readonly (string | Buffer)[]): Buffer {
  const hash = createHash("sha512");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
