import { DriverError } from "../errors.ts";
import { BucketClient, requireBucketName } from "../s3/bucket-client.ts";
import { Bucket } from "../s3/bucket.ts";
import { trust } from "../s3/trust.ts";
import { botoFiles, givenKeys, readBoto, type BotoSettings, type Keys } from "../s3/credentials.ts";
import { s3Names, type OptionNames } from "../s3/failure.ts";
import type { Tuning } from "../s3/object-bucket.ts";
import { Transport } from "../s3/transport.ts";
import type { GcsSettings } from "./options.ts";
import { checkedName, placeOf } from "./place.ts";

const names: OptionNames = {
  ...s3Names,
  bucket: "boto_bucket",
  accessKey: "gs_access_key",
  secretKey: "gs_secret_key",
  simpler: "",
};

/**
 * Makes what the driver speaks through with HMAC keys: Google takes requests as Amazon does, but can't make a part of an
 * upload from an object, nor delete many objects by one request. It encrypts whatever it stores.
 */
export async function connectByKeys(
  settings: GcsSettings,
  tuning: Tuning,
  files = botoFiles(),
): Promise<{ readonly bucket: Bucket; readonly transport: Transport }> {
  const boto = await readBoto(files);
  const { bucket: name, prefix, host, port, secure } = placeOf(settings, boto);
  requireBucketName(name, names);
  const keys = keysOf(settings, boto);
  const transport = new Transport({ secure, idle: tuning.idle, ...(await trust(boto)) });
  const client = new BucketClient({
    endPoint: host,
    ...(port !== undefined && { port }),
    useSSL: secure,
    pathStyle: settings.boto_calling_format?.includes("Subdomain") !== true,
    // Where the bucket is makes no difference to Google.
    region: "auto",
    ...keys,
    sessionToken: "",
    transport,
    transportAgent: transport.agent,
    retryOptions: { disableRetry: true },
  });
  const bucket = new Bucket({ name, prefix, encrypt: false, client, transport, tuning, options: names, checkedName });
  return { bucket, transport };
}

function keysOf({ gs_access_key: access, gs_secret_key: secret }: GcsSettings, boto: BotoSettings): Keys {
  const given = { ...(access !== undefined && { accessKey: access }), ...(secret !== undefined && { secretKey: secret }) }; // prettier-ignore
  const keys = givenKeys(given, names);
  if (keys) return keys;
  const { gs_access_key_id: accessKey, gs_secret_access_key: secretKey } = boto["Credentials"] ?? {};
  if (accessKey && secretKey) return { accessKey, secretKey };
  throw new DriverError("REFUSED", "there are no keys for Google: set gs_access_key and gs_secret_key, or oauth2");
}
