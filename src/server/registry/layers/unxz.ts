import xz from "xz-decompress";

/** Unpacks xz: dictionaries up to 64 MiB (`xz -9`), no filters but LZMA2, one stream at a time in a thread. */
export async function* unxz(source: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const packed = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await source.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await source.return(undefined);
    },
  });
  const unpacked = new xz.XzReadableStream(packed).getReader();
  try {
    for (let next = await unpacked.read(); !next.done; next = await unpacked.read()) {
      if (next.value.length > 0) yield next.value;
    }
  } finally {
    // It cannot be cancelled when it has unpacked all but not all has been read.
    await unpacked.cancel().catch(() => undefined);
  }
}
