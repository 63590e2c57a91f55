import { decompressed } from "./compression.ts";

/** The archive of a layer that changes nothing, as Docker writes it. */
export const emptyArchive: Uint8Array = Buffer.alloc(1024);

/**
 * A layer's tar archive. A layer without a byte, as some clients push one that changes nothing, counts as Docker's empty
 * archive: no OCI client takes it as it is. Fails as `decompressed`.
 */
export async function* archiveOf(layer: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const seen = { isEmpty: true };
  const watched = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of layer) {
      seen.isEmpty &&= chunk.length === 0;
      yield chunk;
    }
  };
  yield* decompressed(watched());
  if (seen.isEmpty) yield emptyArchive;
}
