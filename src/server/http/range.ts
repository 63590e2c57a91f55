/** A part of an object, half-open: `end` is the first byte not wanted. Never empty. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const single = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/i;

/**
 * What a `Range` header asks of an object of `size` bytes (RFC 9110, 14.1.2): a single range, its end clamped;
 * "unsatisfiable" when nothing of it exists; undefined when there is no header, or one that has to be ignored
 * because it is malformed, of another unit, or asks for several ranges.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const match = single.exec(header ?? "");
  if (!match) return undefined;
  const [, first = "", last = "", suffix] = match;
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end };
}

/** More parts than anyone needs, and as little worth sending as parts that overlap. */
const mostRanges = 64;

/**
 * The ranges of a `Range` header that asks for several, those that exist of an object of `size` bytes; "unsatisfiable"
 * when none does; undefined for every other header, and for one that asks for too many or for more than the whole.
 */
export function parseRanges(
  header: string | undefined,
  size: number,
): readonly ByteRange[] | "unsatisfiable" | undefined {
  const [first = "", ...others] = header?.split(",").map((part) => part.trim()) ?? [];
  if (others.length === 0 || others.length >= mostRanges) return undefined;
  const parts = [first, ...others.map((part) => `bytes=${part}`)].map((part) => parseRange(part, size));
  const ranges: ByteRange[] = [];
  for (const part of parts) {
    if (part === undefined) return undefined;
    if (part !== "unsatisfiable") ranges.push(part);
  }
  if (ranges.reduce((sum, { start, end }) => sum + end - start, 0) > size) return undefined;
  return ranges.length > 0 ? ranges : "unsatisfiable";
}
