/** What a tar header says; numbers may be Buffers, to be written as they are. */
export interface TarFields {
  readonly name: string | Buffer;
  readonly type?: string;
  /** Of the header; by default the content's length. */
  readonly size?: number | Buffer;
  readonly mtime?: number | Buffer;
  readonly mode?: number;
  readonly uid?: number | Buffer;
  readonly gid?: number | Buffer;
  readonly linkname?: string;
  readonly uname?: string;
  readonly gname?: string;
  readonly devmajor?: number;
  readonly devminor?: number;
  readonly prefix?: string;
  readonly format?: "v7" | "ustar" | "gnu";
  readonly content?: Buffer;
}

const magic = { v7: "\0\0\0\0\0\0\0\0", ustar: "ustar\x0000", gnu: "ustar  \0" } as const;

/** An archive's entry, written without a tar library: header, content, padding. */
export function tarEntry(fields: TarFields): Buffer {
  const { content = Buffer.alloc(0), format = "ustar" } = fields;
  const block = Buffer.alloc(512);
  const number = (value: number | Buffer, start: number, length: number): void => {
    if (typeof value === "number") block.write(value.toString(8).padStart(length - 1, "0"), start, "latin1");
    else value.copy(block, start);
  };
  Buffer.from(fields.name).copy(block, 0);
  number(fields.mode ?? 0o644, 100, 8);
  number(fields.uid ?? 0, 108, 8);
  number(fields.gid ?? 0, 116, 8);
  number(fields.size ?? content.length, 124, 12);
  number(fields.mtime ?? 1_389_000_000, 136, 12);
  block.write(fields.type ?? "0", 156, "latin1");
  block.write(fields.linkname ?? "", 157, "utf8");
  block.write(magic[format], 257, "latin1");
  if (format !== "v7") {
    block.write(fields.uname ?? "", 265, "utf8");
    block.write(fields.gname ?? "", 297, "utf8");
    number(fields.devmajor ?? 0, 329, 8);
    number(fields.devminor ?? 0, 337, 8);
    block.write(fields.prefix ?? "", 345, "utf8");
  }
  sign(block);
  return Buffer.concat([block, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** Writes a header's checksum, after it has been changed. */
export function sign(block: Buffer): void {
  block.fill(0x20, 148, 156);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

/** A pax header (`x`), or a global one (`g`), for the entries after it. */
export function paxHeader(records: Readonly<Record<string, string | Buffer>>, type: "x" | "g" = "x"): Buffer {
  const lines = Object.entries(records).map(([keyword, value]) => {
    const rest = Buffer.concat([Buffer.from(` ${keyword}=`), Buffer.from(value), Buffer.from("\n")]);
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length++;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return tarEntry({ name: "PaxHeaders/x", type, content: Buffer.concat(lines) });
}

/** The two empty blocks that end an archive. */
export const tarEnd = Buffer.alloc(1024);

/** A whole archive of entries. */
export function tarOf(...entries: readonly (TarFields | Buffer)[]): Buffer {
  return Buffer.concat([...entries.map((entry) => (Buffer.isBuffer(entry) ? entry : tarEntry(entry))), tarEnd]);
}

/** `bytes` as a stream of chunks of `size`. */
export async function* chunked(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size)
    yield await Promise.resolve(bytes.subarray(start, start + size));
}

/** All that a stream yields. */
export async function gathered(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What a promise or the reading of a stream rejects with; fails when it does not. */
export async function failure(work: Promise<unknown> | AsyncIterable<Uint8Array>): Promise<unknown> {
  try {
    await (work instanceof Promise ? work : gathered(work));
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}
