/** The source of a write was not as long as its caller had said. The source's fault, so no `DriverError`. */
export class SizeMismatch extends Error {
  override readonly name = "SizeMismatch";
  readonly expected: number;

  constructor(expected: number, found: string) {
    super(`the source should have had ${expected} bytes and has ${found}`);
    this.expected = expected;
  }
}

/**
 * Yields `source`, and throws `SizeMismatch` instead of ending when it is shorter or longer. Without `size`, anything
 * goes.
 */
export async function* exactly(source: AsyncIterable<Uint8Array>, size?: number): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const chunk of source) {
    seen += chunk.length;
    if (size !== undefined && seen > size) throw new SizeMismatch(size, "more");
    if (chunk.length > 0) yield chunk;
  }
  if (size !== undefined && seen !== size) throw new SizeMismatch(size, String(seen));
}

/** All that `source` yields, in one piece. Fails as `exactly` does. */
export async function gathered(source: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of exactly(source, size)) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}
