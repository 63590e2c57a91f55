import { Deflate } from "pako";

/**
 * Packs with gzip, to the same bytes on every machine, always: image digests follow from them. So this is JavaScript (the
 * zlib in Node differs between processors and versions), of one exact version, of one level, without a time or a name,
 * and what arrives in chunks of any size is packed in pieces of one size.
 */
export async function* gzipped(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const packed: Uint8Array[] = [];
  const deflate = new Deflate({ gzip: true, level, chunkSize: pieceLength });
  deflate.onData = (bytes) => {
    packed.push(bytes);
  };
  for await (const piece of pieces(source)) {
    deflate.push(piece, false);
    yield* packed.splice(0);
  }
  deflate.push(new Uint8Array(0), true);
  yield* packed;
}

/** 26 MB a second on a machine where 6 packs 20 MB, and hardly larger. */
const level = 5;
const pieceLength = 64 * 1024;

async function* pieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(pieceLength);
  let filled = 0;
  for await (const chunk of source) {
    for (let taken = 0; taken < chunk.length;) {
      const part = chunk.subarray(taken, taken + pieceLength - filled);
      piece.set(part, filled);
      taken += part.length;
      filled += part.length;
      if (filled < pieceLength) continue;
      yield piece;
      filled = 0;
    }
  }
  yield piece.subarray(0, filled);
}
