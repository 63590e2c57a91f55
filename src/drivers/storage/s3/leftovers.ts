import type { Bucket } from "./bucket.ts";
import { queryOf } from "./page.ts";
import { elements, keyOf, textOf } from "./xml.ts";

/** No write takes so long, in milliseconds: what is older was left by a process that was killed, or could not reach the server. */
const old = 24 * 3_600_000;

/**
 * Takes back the parts of uploads below the store's prefix that nobody has finished for a day before `now`; they are
 * invisible, but paid for. Answers how many uploads those were.
 */
export async function removeLeftovers(bucket: Bucket, now = Date.now()): Promise<number> {
  let removed = 0;
  let from: readonly (readonly string[])[] = [];
  for (let isLast = false; !isLast;) {
    // No delimiter, not even an empty one: there are servers that take it for one.
    const query = queryOf([["encoding-type", "url"], ["max-uploads", "1000"], ["prefix", bucket.nameOf("")], ...from]);
    const { text } = await bucket.ask({ method: "GET", query: `uploads&${query}` });
    const isEncoded = textOf(text, "EncodingType") === "url";
    for (const upload of elements(text, "Upload")) {
      const key = bucket.keyOf(keyOf(upload, "Key", isEncoded));
      const begun = Date.parse(textOf(upload, "Initiated") ?? "");
      if (key === undefined || !(begun < now - old)) continue;
      await abort(bucket, key, textOf(upload, "UploadId") ?? "");
      removed++;
    }
    const [marker, id] = [keyOf(text, "NextKeyMarker", isEncoded), textOf(text, "NextUploadIdMarker") ?? ""];
    from = [["key-marker", marker], ["upload-id-marker", id]]; // prettier-ignore
    isLast = textOf(text, "IsTruncated") !== "true" || marker === "";
  }
  return removed;
}

async function abort(bucket: Bucket, key: string, id: string): Promise<void> {
  await bucket.with(key, async (client, name) => {
    await client.abortMultipartUpload(bucket.name, name, id);
  });
}
