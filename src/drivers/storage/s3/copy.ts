import { DriverError } from "../errors.ts";
import type { Bucket } from "./bucket.ts";
import { MultipartUpload } from "./multipart.ts";

/** So many parts of a copy are made at once. */
const lanes = 4;

/**
 * Makes `to` what `from` is, within the server. What is too large for one request is put together of parts. Onto itself
 * it changes nothing. Rejects with NOT_FOUND when there is no `from`. Each step may be done twice, so each is tried again.
 */
export async function copyObject(bucket: Bucket, from: string, to: string): Promise<void> {
  const { size } = await bucket.head(from, true);
  if (from === to) return;
  if (size > bucket.tuning.copyLimit) await copyInParts(bucket, from, to, size);
  else await copyAtOnce(bucket, from, to);
}

async function copyAtOnce(bucket: Bucket, from: string, to: string): Promise<void> {
  const headers = { ...bucket.newObject, ...bucket.sourceOf(from), "x-amz-metadata-directive": "REPLACE" };
  const { text } = await bucket.ask({ method: "PUT", key: to, headers, subject: from, persistent: true });
  // A server may find out that it can't do it when it has begun to say that it does.
  if (text.includes("<Error>") || !text.includes("CopyObjectResult")) {
    throw new DriverError("UNAVAILABLE", `${from} can't be copied: ${text.slice(0, 500)}`);
  }
}

async function copyInParts(bucket: Bucket, from: string, to: string, size: number): Promise<void> {
  const { copyPart } = bucket.tuning;
  const count = Math.ceil(size / copyPart);
  const upload = await MultipartUpload.begin(bucket, to);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      await upload.copy(index + 1, from, index * copyPart, Math.min(size, (index + 1) * copyPart));
    }
  };
  const running = Array.from({ length: lanes }, async () => {
    try {
      await lane();
    } catch (error) {
      next = count;
      throw error;
    }
  });
  try {
    await Promise.all(running);
    await upload.complete(size);
  } catch (error) {
    await Promise.allSettled(running);
    await upload.abort();
    throw error;
  }
}
