import { isUtf8 } from "node:buffer";

/**
 * Bytes as Python's `surrogateescape` reads them: UTF-8, and each byte that is none as a lone surrogate, so that two names
 * never become one.
 */
export function pythonText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  let text = "";
  for (let start = 0; start < bytes.length;) {
    const first = bytes[start] ?? 0;
    const sequence = bytes.subarray(start, start + sequenceLength(first));
    const valid = isUtf8(sequence);
    text += valid ? sequence.toString("utf8") : String.fromCharCode(0xdc00 + first);
    start += valid ? sequence.length : 1;
  }
  return text;
}

function sequenceLength(first: number): number {
  if (first >= 0xf0) return 4;
  if (first >= 0xe0) return 3;
  return first >= 0xc0 ? 2 : 1;
}

/** A float as Python writes it: always with a fraction or an exponent. */
export function pythonFloat(value: number): string {
  const text = String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
