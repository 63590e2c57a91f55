import { RegistryError } from "../errors.ts";

/** The body of one request. */
export interface UploadBody {
  readonly source: AsyncIterable<Uint8Array>;
  /** In bytes, where the client has announced it. */
  readonly length?: number | undefined;
  /** Which bytes of the blob it is, where the client has said so; `end` is the first that it is not. */
  readonly range?: { readonly start: number; readonly end: number } | undefined;
}

/**
 * The bytes of a body for the place `offset`, that throw when they are not what the body promised (SIZE_INVALID), or too many
 * for a blob of at most `maxSize` bytes (BODY_TOO_LARGE; 0 sets no limit). Throws BLOB_UPLOAD_OUT_OF_ORDER at once when the
 * body is for another place.
 */
export function checkedBody(
  { source, length, range }: UploadBody,
  offset: number,
  maxSize: number,
): AsyncIterable<Uint8Array> {
  if (range && range.start !== offset) throw outOfOrder();
  const expected = range && range.end - range.start;
  if (expected !== undefined && length !== undefined && length !== expected) throw wrongSize(expected, length);
  const room = maxSize > 0 ? maxSize - offset : Infinity;
  const tooLarge = (): RegistryError =>
    new RegistryError("BODY_TOO_LARGE", { detail: `at most ${maxSize} bytes are accepted here` });
  if ((length ?? 0) > room) throw tooLarge();
  return expected === undefined && room === Infinity ? source : counted();

  async function* counted(): AsyncGenerator<Uint8Array> {
    let count = 0;
    for await (const bytes of source) {
      count += bytes.length;
      if (count > room) throw tooLarge();
      yield bytes;
    }
    if (expected !== undefined && count !== expected) throw wrongSize(expected, count);
  }
}

/** The refusal of a body that is for another place than the end of its upload. */
export function outOfOrder(): RegistryError {
  return new RegistryError("BLOB_UPLOAD_OUT_OF_ORDER");
}

function wrongSize(expected: number, found: number): RegistryError {
  return new RegistryError("SIZE_INVALID", { detail: `Content-Range has ${expected} bytes, the body ${found}` });
}
