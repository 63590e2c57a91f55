import { defineStorage } from "./define.ts";
import type { StorageDriver } from "./driver.ts";
import { openBucket } from "./s3/bucket-storage.ts";
import type { Tuning } from "./s3/object-bucket.ts";
import { s3Schema, type S3Settings } from "./s3/options.ts";

const features = { redirect: true, localFiles: false } as const;

/** Objects in a bucket of Amazon S3, or of any server that speaks its protocol, such as Ceph's gateway. */
export const s3 = defineStorage({
  name: "s3",
  aliases: [],
  summary: "Objects in a bucket of Amazon S3, Ceph or another server that speaks S3.",
  features,
  options: s3Schema,
  open: async (settings) => await openS3(settings),
});

const mebibyte = 1_048_576;

/** What the driver works with, but for what is said otherwise. */
export function s3Tuning(tuning: Partial<Tuning>): Tuning {
  return { ...usual, ...tuning };
}

const usual: Tuning = {
  partSize: 8 * mebibyte,
  memory: 128 * mebibyte,
  // What Amazon copies by one request.
  copyLimit: 5 * 1024 * mebibyte,
  copyPart: 1024 * mebibyte,
  pageSize: 1000,
  idle: 60_000,
  attempts: 4,
  delay: 250,
};

/**
 * Opens the store and asks for its bucket: what only the operator can correct rejects here, while a server that does not
 * answer may do so later. The client library is loaded here, not before.
 */
export async function openS3(settings: S3Settings, tuning: Partial<Tuning> = {}): Promise<StorageDriver> {
  const [{ connect }, { S3Objects }] = await Promise.all([import("./s3/connect.ts"), import("./s3/objects.ts")]);
  const { bucket, transport } = await connect(settings, s3Tuning(tuning));
  return await openBucket("s3", features, new S3Objects(bucket, transport));
}
