/** Bytes that are there already, as what a write takes. */
export async function* sourceOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield bytes;
}
