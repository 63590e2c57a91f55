import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { RegistryError } from "../../errors.ts";
import { unsupported } from "./unsupported.ts";

/** How a layer's tar archive may be packed. */
export type Compression = "none" | "gzip" | "xz" | "bzip2" | "zstd";

/** Media types of layers; xz and bzip2 have none of their own in any specification. */
const mediaTypes: Readonly<Record<Compression, string>> = {
  none: "application/vnd.docker.image.rootfs.diff.tar",
  gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  xz: "application/vnd.docker.image.rootfs.diff.tar.xz",
  bzip2: "application/vnd.docker.image.rootfs.diff.tar.bzip2",
  zstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
};

/** Whether a value names a compression. */
export function isCompression(value: unknown): value is Compression {
  return typeof value === "string" && Object.hasOwn(mediaTypes, value);
}

const magicLength = 6;

/** What the first bytes of a layer (6 decide) say of its compression. */
export function compressionOf(head: Uint8Array): Compression {
  const magic = Buffer.from(head.subarray(0, magicLength)).toString("latin1");
  if (magic.startsWith("\x1f\x8b\x08")) return "gzip";
  if (magic.startsWith("\xfd7zXZ\0")) return "xz";
  if (/^BZh[1-9]/.test(magic)) return "bzip2";
  const isSkipped = /^[P-_]/.test(magic) && magic.slice(1, 4) === "*M\x18";
  return magic.startsWith("\x28\xb5\x2f\xfd") || isSkipped ? "zstd" : "none";
}

/** Passes `bytes` through as they are; once they have passed, the rest says which layer they are. */
export function sniffMediaType(source: AsyncIterable<Uint8Array>): {
  readonly bytes: AsyncGenerator<Uint8Array>;
  readonly compression: Compression;
  readonly mediaType: string;
} {
  let head = Buffer.alloc(0);
  async function* passed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      if (head.length < magicLength) head = Buffer.concat([head, chunk.subarray(0, magicLength - head.length)]);
      yield chunk;
    }
  }
  return {
    bytes: passed(),
    get compression() {
      return compressionOf(head);
    },
    get mediaType() {
      return mediaTypes[compressionOf(head)];
    },
  };
}

/**
 * A layer's tar archive, unpacked as it is read and no faster. Fails with LAYER_UNSUPPORTED when it cannot be unpacked,
 * with the source's own error when that fails. xz: dictionaries up to 64 MiB (`xz -9`), no filters but LZMA2, one stream
 * at a time in a thread. zstd: windows up to 128 MiB.
 */
export async function* decompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let sourceFailure: { readonly error: unknown } | undefined;
  const watched = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of source) if (chunk.length > 0) yield chunk;
    } catch (error) {
      sourceFailure = { error };
      throw error;
    }
  };
  const input = watched();
  const { head, whole } = await peeked(input);
  const compression = compressionOf(head);
  try {
    yield* unpackers[compression](whole);
  } catch (error) {
    if (sourceFailure !== undefined) throw sourceFailure.error;
    if (error instanceof RegistryError) throw error;
    throw unsupported(`the ${compression} data is damaged or uses a feature that is not supported`, error);
  } finally {
    await input.return(undefined);
  }
}

/** What few layers need is loaded with the first of them. */
const unpackers: Readonly<Record<Compression, (source: AsyncGenerator<Uint8Array>) => AsyncIterable<Uint8Array>>> = {
  none: (source) => source,
  gzip: (source) => pipeline(source, createGunzip({ chunkSize: 64 * 1024 }), () => undefined),
  async *xz(source) {
    yield* (await import("./unxz.ts")).unxz(source);
  },
  async *bzip2(source) {
    yield* (await import("./bunzip2.ts")).bunzip2(source);
  },
  async *zstd(source) {
    yield* (await import("./unzstd.ts")).unzstd(source);
  },
};

/** The first bytes of a stream and the stream from its first byte. */
async function peeked(source: AsyncGenerator<Uint8Array>) {
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < magicLength) {
    const next = await source.next();
    if (next.done === true) break;
    chunks.push(next.value);
    length += next.value.length;
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield* chunks;
    yield* source;
  }
  return { head: Buffer.concat(chunks), whole: whole() };
}
