import { unsupported } from "./unsupported.ts";

const kept = [
  "path",
  "linkpath",
  "size",
  "mtime",
  "uid",
  "gid",
  "uname",
  "gname",
  "GNU.sparse.name",
  "GNU.sparse.size",
  "GNU.sparse.realsize",
] as const;

/** A keyword of a pax header that changes what an entry's header says. */
export type PaxKeyword = (typeof kept)[number];

/** Values are bytes: paths may be of any encoding. */
export type PaxRecords = ReadonlyMap<PaxKeyword, Buffer>;

/**
 * Adds the records of one pax header (`<length> <keyword>=<value>\n`, POSIX.1-2001 pax) to those in force. An empty value
 * takes a keyword back; keywords that say nothing about a file list (xattrs, times, comments) are passed over.
 */
export function withPaxRecords(inForce: PaxRecords, header: Buffer): PaxRecords {
  const records = new Map(inForce);
  for (let start = 0; start < header.length && header[start] !== 0;) {
    const space = header.indexOf(0x20, start);
    const length = Number(header.toString("latin1", start, space));
    const end = start + length;
    const equals = header.indexOf(0x3d, space);
    const wellFormed =
      space > start && Number.isInteger(length) && equals > space && equals < end && end <= header.length;
    if (!wellFormed || header[end - 1] !== 0x0a) throw unsupported("a pax header is malformed");
    const keyword = keptKeyword(header.toString("utf8", space + 1, equals));
    const value = header.subarray(equals + 1, end - 1);
    if (keyword && value.length > 0) records.set(keyword, value);
    else if (keyword) records.delete(keyword);
    start = end;
  }
  return records;
}

/** A whole number, as Python reads it: what is none counts as 0. */
export function paxInteger(value: Buffer): number {
  const number = /^\s*[-+]?\d+\s*$/.test(value.toString("latin1")) ? Number(value.toString("latin1")) : 0;
  if (!Number.isSafeInteger(number)) throw unsupported("a pax header has a number that is too large");
  return number;
}

/** Seconds with a fraction; what is no number counts as 0. */
export function paxSeconds(value: Buffer): number {
  const text = value.toString("latin1");
  return /^\s*[-+]?(\d+\.?\d*|\.\d+)\s*$/.test(text) ? Number(text) : 0;
}

function keptKeyword(keyword: string): PaxKeyword | undefined {
  return kept.find((known) => known === keyword);
}
