import type { ByteRange } from "./driver.ts";
import { DriverError } from "./errors.ts";

/**
 * The bytes of an object of `size` bytes that a read should yield. An end beyond the object is its end. INVALID_RANGE
 * when the range asks for no byte of the object: it starts at or past the end (so does any range of an empty object) or
 * is empty.
 */
export function resolveRange(range: ByteRange | undefined, size: number): Required<ByteRange> {
  if (range === undefined) return { start: 0, end: size };
  const { start, end = size } = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || start >= size || end <= start) {
    throw new DriverError("INVALID_RANGE", `bytes ${start} to ${end} are not in an object of ${size} bytes`);
  }
  return { start, end: Math.min(end, size) };
}
