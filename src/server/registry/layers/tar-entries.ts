import { ByteReader } from "./byte-reader.ts";
import { paxInteger, paxSeconds, withPaxRecords, type PaxRecords } from "./pax.ts";
import { blockSize, oldSparse, parseTarHeader, sparseMapGoesOn, untilNul, type TarHeader } from "./tar-header.ts";
import { unsupported } from "./unsupported.ts";

/**
 * An entry with all that pax headers, GNU long names and sparse formats say about it. `size` is the file's own; a link's
 * or folder's is what its header has. A folder's name ends without a slash.
 */
export interface TarEntry extends TarHeader {
  readonly isFolder: boolean;
  /** Whether a pax header gave the time: those have fractions. */
  readonly mtimeIsPax: boolean;
  /** The bytes stored for it; of a sparse file those are not the file's. Read once, before the next entry is asked for. */
  content(): AsyncIterable<Buffer>;
}

/** Linux has no path as long as this, and a bomb's headers must not fill the memory. */
const largestExtension = 1024 * 1024;

/** More than any honest layer has: what is kept for each of them stays within hundreds of megabytes. */
const mostEntries = 10_000_000;

/**
 * The entries of a tar archive (V7, ustar, GNU, pax) in order, in constant memory. An archive ends with its first empty
 * block or with its last byte; of no bytes at all it has no entries. Fails with LAYER_UNSUPPORTED on anything else.
 */
export async function* tarEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  try {
    let globals: PaxRecords = new Map();
    let extensions: Extensions = { pax: globals };
    for (let count = 0; ;) {
      const block = await reader.read(blockSize);
      const header = block && parseTarHeader(block);
      if (!header) {
        if (extensions.announced === true) throw unsupported("the archive is cut short");
        return;
      }
      if (header.typeflag === "g") {
        globals = withPaxRecords(globals, await extension(reader, header));
        extensions = { ...extensions, pax: globals };
      } else if (header.typeflag === "x" || header.typeflag === "X") {
        const pax = withPaxRecords(extensions.pax, await extension(reader, header));
        extensions = { ...extensions, announced: true, pax };
      } else if (header.typeflag === "L") {
        extensions = { ...extensions, announced: true, name: untilNul(await extension(reader, header)) };
      } else if (header.typeflag === "K") {
        extensions = { ...extensions, announced: true, linkname: untilNul(await extension(reader, header)) };
      } else {
        if (++count > mostEntries) throw unsupported(`the archive has more than ${mostEntries} entries`);
        const sparseSize = header.typeflag === "S" ? await pastSparseMap(reader, block) : undefined;
        yield* entryOf(reader, header, extensions, sparseSize);
        extensions = { pax: globals };
      }
    }
  } finally {
    await reader.close();
  }
}

interface Extensions {
  /** Whether an entry must follow. */
  readonly announced?: boolean;
  readonly pax: PaxRecords;
  readonly name?: Buffer;
  readonly linkname?: Buffer;
}

/** Yields the one entry and then passes over what of its content has not been read. */
async function* entryOf(
  reader: ByteReader,
  header: TarHeader,
  { pax, name: longName, linkname }: Extensions,
  sparseSize: number | undefined,
): AsyncGenerator<TarEntry> {
  const stored = mapped(pax.get("size"), paxInteger) ?? header.size;
  if (stored < 0) throw unsupported("a tar header has a negative size");
  const realSize = mapped(pax.get("GNU.sparse.realsize") ?? pax.get("GNU.sparse.size"), paxInteger);
  const mtime = mapped(pax.get("mtime"), paxSeconds);
  const name = pax.get("GNU.sparse.name") ?? pax.get("path") ?? longName ?? header.name;
  // V7 had no type for folders.
  const isFolder = header.typeflag === "5" || (header.typeflag === "\0" && name.at(-1) === slash);
  const length = isFolder || /[1-6]/.test(header.typeflag) ? 0 : stored;
  let left = length;
  yield {
    name: isFolder || pax.has("path") ? withoutEndSlashes(name) : name,
    mode: header.mode,
    typeflag: header.typeflag,
    devmajor: header.devmajor,
    devminor: header.devminor,
    linkname: pax.get("linkpath") ?? linkname ?? header.linkname,
    size: realSize ?? sparseSize ?? stored,
    uid: mapped(pax.get("uid"), paxInteger) ?? header.uid,
    gid: mapped(pax.get("gid"), paxInteger) ?? header.gid,
    uname: pax.get("uname") ?? header.uname,
    gname: pax.get("gname") ?? header.gname,
    mtime: mtime ?? header.mtime,
    mtimeIsPax: mtime !== undefined,
    isFolder,
    async *content() {
      for await (const piece of reader.pieces(left)) {
        left -= piece.length;
        yield piece;
      }
    },
  };
  if ((await reader.skip(left)) < left) throw unsupported("the archive is cut short");
  await reader.skip(padding(length));
}

async function extension(reader: ByteReader, { size }: TarHeader): Promise<Buffer> {
  if (size < 0 || size > largestExtension) throw unsupported(`a tar header is longer than ${largestExtension} bytes`);
  const bytes = size === 0 ? Buffer.alloc(0) : await reader.read(size);
  if (!bytes) throw unsupported("the archive is cut short");
  await reader.skip(padding(size));
  return bytes;
}

/** Passes over the blocks that continue the map of an old sparse file and answers the file's size. */
async function pastSparseMap(reader: ByteReader, header: Buffer): Promise<number> {
  const { size, extended } = oldSparse(header);
  for (let goesOn = extended; goesOn;) {
    const block = await reader.read(blockSize);
    if (!block) throw unsupported("the archive is cut short");
    goesOn = sparseMapGoesOn(block);
  }
  return size;
}

const slash = 0x2f;

function withoutEndSlashes(name: Buffer): Buffer {
  let end = name.length;
  while (end > 0 && name[end - 1] === slash) end--;
  return name.subarray(0, end);
}

function padding(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

function mapped<T, U>(value: T | undefined, map: (value: T) => U): U | undefined {
  return value === undefined ? undefined : map(value);
}
