import { createHash } from "node:crypto";
import { tarEntries, type TarEntry } from "./tar-entries.ts";

const sumLength = 32;

/**
 * The checksum that docker before 0.10 claims for an image: over its JSON and, in the order of their sums, over every
 * entry of its layer's tar archive. It does not depend on the compression or the order of entries.
 */
export async function tarsum(json: Uint8Array, archive: AsyncIterable<Uint8Array>): Promise<string> {
  const sums = new Sums();
  for await (const entry of tarEntries(archive)) sums.add(await sumOf(entry));
  const whole = createHash("sha256").update(json);
  for (const sum of sums.sorted()) whole.update(sum.toString("hex"));
  return `tarsum+sha256:${whole.digest("hex")}`;
}

async function sumOf(entry: TarEntry): Promise<Buffer> {
  // Names are bytes of any encoding: each byte becomes one character here, and one byte again when it is hashed.
  const text = (bytes: Buffer): string => bytes.toString("latin1");
  const fields = [
    ["name", `${text(entry.name)}${entry.isFolder ? "/" : ""}`],
    ["mode", entry.mode],
    ["uid", entry.uid],
    ["gid", entry.gid],
    ["size", entry.size],
    ["mtime", Math.floor(entry.mtime)],
    ["typeflag", entry.typeflag],
    ["linkname", text(entry.linkname)],
    ["uname", text(entry.uname)],
    ["gname", text(entry.gname)],
    ["devmajor", entry.devmajor],
    ["devminor", entry.devminor],
  ];
  const hash = createHash("sha256").update(fields.flat().join(""), "latin1");
  for await (const piece of entry.content()) hash.update(piece);
  return hash.digest();
}

/** Sums side by side in one buffer: an object for each of millions would take many times the memory. */
class Sums {
  #bytes = Buffer.alloc(1024 * sumLength);
  #length = 0;

  add(sum: Buffer): void {
    if (this.#length === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], 2 * this.#bytes.length);
    this.#length += sum.copy(this.#bytes, this.#length);
  }

  *sorted(): Generator<Buffer> {
    const order = new Uint32Array(this.#length / sumLength).map((_, index) => index * sumLength);
    order.sort((a, b) => this.#bytes.compare(this.#bytes, b, b + sumLength, a, a + sumLength));
    for (const start of order) yield this.#bytes.subarray(start, start + sumLength);
  }
}
