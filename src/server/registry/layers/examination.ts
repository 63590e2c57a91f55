import { Hashing, isDigest, type Algorithm, type Digest } from "../digest.ts";
import { isObject } from "../documents.ts";
import { archiveOf } from "./archive.ts";
import { isCompression, sniffMediaType, type Compression } from "./compression.ts";
import { tarEntries } from "./tar-entries.ts";
import { blockSize } from "./tar-header.ts";
import { unsupported } from "./unsupported.ts";

/** What OCI has to know of a layer, which is a tar archive that can be read to its end; sizes in bytes. */
export interface Examination {
  /** Of the bytes as they are stored. */
  readonly digest: Digest;
  readonly size: number;
  readonly compression: Compression;
  /** Digest of the tar archive. */
  readonly diffId: Digest;
  readonly unpackedSize: number;
}

/**
 * Reads a layer once, to its end, in constant memory. A layer without a byte counts as Docker's empty archive. Fails with
 * LAYER_UNSUPPORTED when it can't be unpacked or is no whole tar archive, and as `layer` fails.
 */
export async function examined(layer: AsyncIterable<Uint8Array>, algorithm: Algorithm): Promise<Examination> {
  const stored = new Hashing(algorithm);
  const archive = new Hashing();
  const packed = sniffMediaType(stored.through(layer));
  const unpacked = archive.through(archiveOf(new Rest(packed.bytes)));
  try {
    await readEntries(unpacked, archive);
    // Behind an archive's end there may be more, and behind the end of packed data: all of it is the layer.
    await drain(unpacked);
    await drain(packed.bytes);
  } finally {
    await unpacked.return(undefined);
    await packed.bytes.return(undefined);
  }
  return {
    digest: stored.digest(),
    size: stored.size,
    compression: packed.compression,
    diffId: archive.digest(),
    unpackedSize: archive.size,
  };
}

/** Whether a value that was JSON is an examination. */
export function isExamination(value: unknown): value is Examination {
  if (!isObject(value) || !isCompression(value["compression"])) return false;
  const digests = [value["digest"], value["diffId"]];
  const sizes = [value["size"], value["unpackedSize"]];
  return (
    digests.every((digest) => typeof digest === "string" && isDigest(digest)) &&
    sizes.every((size) => Number.isSafeInteger(size))
  );
}

/** An archive may end with its last entry, but not within the padding behind that. */
async function readEntries(unpacked: AsyncGenerator<Uint8Array>, archive: Hashing): Promise<void> {
  const rest = new Rest(unpacked);
  await drain(tarEntries(rest));
  if (rest.isRead && archive.size % blockSize !== 0) throw unsupported("the archive is cut short");
}

async function drain(source: AsyncIterator<unknown>): Promise<void> {
  while ((await source.next()).done !== true);
}

/** What a stream has left, for a reader that may stop before its end without ending it. */
class Rest implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  isRead = false;

  constructor(source: AsyncIterator<Uint8Array>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        const next = await this.#source.next();
        this.isRead = next.done === true;
        return next;
      },
    };
  }
}
