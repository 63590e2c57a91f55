import { isNotFound } from "../../../drivers/storage/errors.ts";
import { RegistryError } from "../../errors.ts";
import { differs, Hashing, isDigest, type Digest } from "../../registry/digest.ts";
import type { ImageId } from "../../registry/names.ts";
import { imageKey } from "../../registry/paths.ts";
import { isWrong } from "./blobs.ts";
import { NotCopied } from "./not-copied.ts";
import type { CopyParts } from "./parts.ts";
import { drained, type Check, type Opening } from "./sink.ts";

/** Copies the layers of old stores, which are files, if they are what the checksums beside them say. */
export class LayerFileCopy {
  readonly #parts: CopyParts;

  constructor(parts: CopyParts) {
    this.#parts = parts;
  }

  /** Afterwards the target has the layer. Rejects with `NotCopied`. */
  async ensure(id: ImageId, size: number, json: Buffer): Promise<void> {
    const { to, from, sink, verify, tally } = this.#parts;
    if ((await to.images.state(id)) === "inProgress") {
      throw new NotCopied("push-unfinished", `a push of image ${id} to the target never finished, or is going on`, { image: id }); // prettier-ignore
    }
    const key = imageKey(id, "layer");
    const open: Opening = async function* () {
      yield* (await from.driver.read(key)) as AsyncIterable<Uint8Array>;
    };
    const checksums = await from.images.checksums(id);
    const payloads = checksums.filter(isDigest);
    const isRight = payloads.length > 0 ? hasPayload(json, payloads) : this.#hasTarsum(json, checksums);
    const there = await to.documents.size(key);
    if (there === size && (!verify || (await sink.isRight(key, size, isRight ?? isSameAs(open))))) {
      tally.blobs.there++;
      return;
    }
    try {
      if (payloads.length > 0) await sink.content(key, size, () => withPayload(open(), json, payloads));
      else await sink.contentReadBack(key, size, open, isRight);
    } catch (error) {
      if (isNotFound(error)) throw new NotCopied("layer-missing", `the layer of image ${id} is missing`, { image: id });
      if (!isWrong(error)) throw error;
      const why = isRight ? "is not what its checksum says" : "was read back as something else";
      throw new NotCopied("layer-damaged", `the layer of image ${id} ${why}`, { image: id }, { cause: error });
    }
    tally.blobs[there === size ? "repaired" : "copied"]++;
    tally.blobs.bytes += size;
  }

  /** The sum of docker before 0.10, which is of what is in the archive. Undefined where none is noted. */
  #hasTarsum(json: Buffer, checksums: readonly string[]): Check | undefined {
    if (!checksums.some((checksum) => checksum.startsWith("tarsum+sha256:"))) return undefined;
    return async (bytes) => {
      try {
        return checksums.includes(await this.#parts.analysis.tarsum(json, bytes));
      } catch (error) {
        // Whoever noted the sum could read the archive.
        if (error instanceof RegistryError && error.code === "LAYER_UNSUPPORTED") return false;
        throw error;
      }
    };
  }
}

/** The sum of docker since 0.10, of the image's JSON and the layer as it is. */
function hasPayload(json: Buffer, payloads: readonly Digest[]): Check {
  return async (bytes) => {
    const hashing = payloadOf(json);
    await drained(hashing.through(bytes));
    return payloads.includes(hashing.digest());
  };
}

async function* withPayload(
  layer: AsyncIterable<Uint8Array>,
  json: Buffer,
  payloads: readonly Digest[],
): AsyncGenerator<Uint8Array> {
  const hashing = payloadOf(json);
  yield* hashing.through(layer);
  const found = hashing.digest();
  if (!payloads.includes(found)) throw differs(found);
}

function payloadOf(json: Buffer): Hashing {
  return new Hashing("sha256", Buffer.concat([json, Buffer.from("\n")]));
}

/** Where nothing is noted, the source's counts. */
function isSameAs(open: Opening): Check {
  return async (bytes) => {
    const [ours, others] = [new Hashing(), new Hashing()];
    await Promise.all([drained(ours.through(bytes)), drained(others.through(open()))]);
    return ours.digest() === others.digest();
  };
}
