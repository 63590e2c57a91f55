import { defineStorage } from "./define.ts";
import type { StorageDriver } from "./driver.ts";
import { gcsSchema, type GcsSettings } from "./gcs/options.ts";
import { s3Tuning } from "./s3.ts";
import { openBucket } from "./s3/bucket-storage.ts";
import type { Tuning } from "./s3/object-bucket.ts";

const features = { redirect: true, localFiles: false } as const;

/** Objects in a bucket of Google Cloud Storage. */
export const gcs = defineStorage({
  name: "gcs",
  aliases: [],
  summary: "Objects in a bucket of Google Cloud Storage, with HMAC keys or a service account.",
  features,
  options: gcsSchema,
  open: async (settings) => await openGcs(settings),
});

/** Google copies objects of any size by one request, as long as they stay in their place and class. */
const limits: Partial<Tuning> = { copyLimit: Infinity };

/**
 * Opens the store and asks for its bucket, as `openS3` does. Which client library is loaded, and only here, is said by
 * `oauth2`.
 */
export async function openGcs(settings: GcsSettings, tuning: Partial<Tuning> = {}): Promise<StorageDriver> {
  const all = s3Tuning({ ...limits, ...tuning });
  if (settings.oauth2) {
    const { connectByTokens } = await import("./gcs/connect.ts");
    return await openBucket("gcs", features, await connectByTokens(settings, all));
  }
  const [{ connectByKeys }, { S3Objects }] = await Promise.all([
    import("./gcs/interoperability.ts"),
    import("./s3/objects.ts"),
  ]);
  const { bucket, transport } = await connectByKeys(settings, all);
  return await openBucket("gcs", features, new S3Objects(bucket, transport));
}
