import { RegistryError } from "../../errors.ts";
import { Hashing, isDigest, type Algorithm, type Digest } from "../digest.ts";
import { isObject } from "../documents.ts";
import { archiveOf } from "./archive.ts";
import { isCompression, sniffMediaType, type Compression } from "./compression.ts";
import { tarEntries } from "./tar-entries.ts";
import { blockSize } from "./tar-header.ts";
import { unsupported } from "./unsupported.ts";

/** A layer's bytes as they are stored; `size` is their number. */
export interface StoredLayer {
  readonly digest: Digest;
  readonly size: number;
  readonly compression: Compression;
}

/** A layer that is a tar archive, whole and unpacked to its end: what OCI has to know of it. */
export interface ReadableLayer extends StoredLayer {
  /** Digest of the archive. */
  readonly diffId: Digest;
  /** Of the archive, in bytes. */
  readonly unpackedSize: number;
}

/** A layer that can't be unpacked, or is no whole tar archive, and why not. */
export interface UnreadableLayer extends StoredLayer {
  readonly problem: string;
}

/** What one reading of a layer has found. */
export type Examination = ReadableLayer | UnreadableLayer;

/**
 * Reads a layer once, to its end, in constant memory. A layer without a byte counts as Docker's empty archive. Fails as
 * `layer` fails, and else never: what is damaged has a digest too.
 */
export async function examined(layer: AsyncIterable<Uint8Array>, algorithm: Algorithm): Promise<Examination> {
  const stored = new Hashing(algorithm);
  const archive = new Hashing();
  const packed = sniffMediaType(stored.through(layer));
  const unpacked = archive.through(archiveOf(new Rest(packed.bytes)));
  try {
    const problem = await problemOf(unpacked, archive);
    // Behind the end of packed data there may be more: all of it is the layer.
    await drain(packed.bytes);
    const layer = { digest: stored.digest(), size: stored.size, compression: packed.compression };
    if (problem !== undefined) return { ...layer, problem };
    return { ...layer, diffId: archive.digest(), unpackedSize: archive.size };
  } finally {
    await unpacked.return(undefined);
    await packed.bytes.return(undefined);
  }
}

/** Whether a value that was JSON is an examination. */
export function isExamination(value: unknown): value is Examination {
  if (!isObject(value) || !isCompression(value["compression"])) return false;
  const isStored = isDigestText(value["digest"]) && Number.isSafeInteger(value["size"]);
  const isReadable = isDigestText(value["diffId"]) && Number.isSafeInteger(value["unpackedSize"]);
  return isStored && (isReadable || typeof value["problem"] === "string");
}

function isDigestText(value: unknown): boolean {
  return typeof value === "string" && isDigest(value);
}

/** Why the layer is none that can be read to its end, or undefined. */
async function problemOf(unpacked: AsyncGenerator<Uint8Array>, archive: Hashing): Promise<string | undefined> {
  try {
    await readEntries(unpacked, archive);
    // Behind an archive's end there may be more: all of it counts.
    await drain(unpacked);
    return undefined;
  } catch (error) {
    if (error instanceof RegistryError && error.code === "LAYER_UNSUPPORTED") return error.detail ?? error.message;
    throw error;
  }
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
