import type { ByteRange, Entry } from "../driver.ts";
import { compareKeys } from "../key-order.ts";
import type { Bucket } from "./bucket.ts";
import { elements, keyOf, textOf } from "./xml.ts";

/** One answer to a listing: keys of the caller, relative to the store. */
export interface Page {
  readonly entries: readonly Entry[];
  /** Without the `/` at the end. */
  readonly folders: readonly string[];
  /** Where the next page begins; undefined when there is none. */
  readonly next: string | undefined;
}

/** What is listed: names that begin with `prefix`, from the first beyond `after`. */
export interface PageRequest {
  readonly prefix: string;
  readonly after: string;
  /** Everything behind the next `/` is one folder. */
  readonly folded: boolean;
  readonly limit: number;
}

/** Beyond every name in a folder that anybody gives: some servers would tell of a folder again that the last page ended with. */
const beyond = "\u{10ffff}";

/**
 * Asks for one page. Pages follow each other by the last name, not by the token that the server offers: some servers put
 * a name that XML can't hold into it.
 */
export async function readPage(bucket: Bucket, { prefix, after, folded, limit }: PageRequest): Promise<Page> {
  const query = [
    ["encoding-type", "url"],
    ["list-type", "2"],
    ["max-keys", String(limit)],
    ["prefix", bucket.nameOf(prefix)],
    ...(folded ? [["delimiter", "/"]] : []),
    ...(after === "" ? [] : [["start-after", bucket.nameOf(after)]]),
  ];
  const { text } = await bucket.ask({ method: "GET", query: queryOf(query) });
  const isEncoded = textOf(text, "EncodingType") === "url";
  let last: string | undefined;
  const entries = elements(text, "Contents").flatMap((element): Entry[] => {
    const key = bucket.keyOf(keyOf(element, "Key", isEncoded));
    last = key;
    // Some programs make objects that stand for folders; those are no keys, but a page may end with one.
    if (key === undefined || key === "" || key.endsWith("/")) return [];
    const modified = new Date(textOf(element, "LastModified") ?? 0);
    return [{ key, size: Number(textOf(element, "Size")), modified }];
  });
  const folders = elements(text, "CommonPrefixes").flatMap((element): string[] => {
    const key = bucket.keyOf(keyOf(element, "Prefix", isEncoded)) ?? "";
    return key === "" || key === "/" ? [] : [key.slice(0, -1)];
  });
  const isTruncated = textOf(text, "IsTruncated") === "true";
  return { entries, folders, next: isTruncated ? behind(last, folders.at(-1)) : undefined };
}

/** Where the page goes on that comes behind one with this key and this folder as its last. */
export function behind(key = "", folder?: string): string {
  const end = folder === undefined ? "" : `${folder}/${beyond}`;
  return compareKeys(key, end) > 0 ? key : end;
}

/** A query in the order that its signature needs. */
export function queryOf(parameters: readonly (readonly string[])[]): string {
  return parameters
    .map(([name = "", value = ""]) => `${name}=${escape(value)}`)
    .toSorted()
    .join("&");
}

/** The header that asks for a part of an object. */
export function rangeHeader(range: ByteRange | undefined): Readonly<Record<string, string>> {
  if (range === undefined) return {};
  const last = range.end === undefined ? "" : String(range.end - 1);
  return { range: `bytes=${range.start}-${last}` };
}

function escape(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}
