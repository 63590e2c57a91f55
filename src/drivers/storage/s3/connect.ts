import type { Client } from "minio";
import { DriverError } from "../errors.ts";
import { BucketClient, isHostName, requireBucketName } from "./bucket-client.ts";
import { Bucket } from "./bucket.ts";
import { botoFiles, chooseKeys, readBoto, type BotoSettings } from "./credentials.ts";
import { driverError, ServerFailure, s3Names } from "./failure.ts";
import { MachineRole, type Environment } from "./machine-role.ts";
import type { Tuning } from "./object-bucket.ts";
import type { S3Settings } from "./options.ts";
import { prefixOf } from "./prefix.ts";
import { Transport } from "./transport.ts";
import { trust } from "./trust.ts";

const amazon = "s3.amazonaws.com";

/**
 * Makes what the driver speaks through, of what the operator has written, here and in the files of boto in `files`, and of
 * what AWS has told in `environment`, the process' own by default.
 */
export async function connect(
  settings: S3Settings,
  tuning: Tuning,
  files = botoFiles(),
  environment?: Environment,
): Promise<{ readonly bucket: Bucket; readonly transport: Transport }> {
  const boto = await readBoto(files);
  const name = settings.s3_bucket ?? settings.boto_bucket;
  if (name === undefined)
    throw new DriverError("REFUSED", "s3_bucket is not set: name the bucket that holds the images");
  requireBucketName(name, s3Names);
  const place = placeOf(settings, boto, name);
  const transport = new Transport({ secure: settings.s3_secure, idle: tuning.idle, ...(await trust(boto)) });
  const { s3_access_key: accessKey, s3_secret_key: secretKey, s3_session_token: sessionToken } = settings;
  const keys = chooseKeys(
    {
      ...(accessKey !== undefined && { accessKey }),
      ...(secretKey !== undefined && { secretKey }),
      ...(sessionToken !== undefined && { sessionToken }),
    },
    boto,
  );
  if (keys === undefined && !place.isAmazon) {
    throw new DriverError("REFUSED", "there are no keys for the server: set s3_access_key and s3_secret_key");
  }
  const client = new BucketClient({
    endPoint: place.host,
    ...(place.port !== undefined && { port: place.port }),
    useSSL: settings.s3_secure,
    pathStyle: place.pathStyle,
    ...(keys
      ? { ...keys, sessionToken: keys.sessionToken ?? "" }
      : { credentialsProvider: new MachineRole(environment) }),
    transport,
    transportAgent: transport.agent,
    retryOptions: { disableRetry: true },
  });
  try {
    client.region = place.region ?? (await regionOf(client, name));
  } catch (error) {
    transport.close();
    throw driverError(error, { bucket: name, options: s3Names });
  }
  const prefix = prefixOf(settings.storage_path);
  const bucket = new Bucket({ name, prefix, encrypt: settings.s3_encrypt, client, transport, tuning });
  return { bucket, transport };
}

interface Place {
  readonly host: string;
  readonly port: number | undefined;
  readonly isAmazon: boolean;
  /** Undefined when Amazon has to be asked. */
  readonly region: string | undefined;
  readonly pathStyle: boolean;
}

function placeOf(settings: S3Settings, boto: BotoSettings, bucket: string): Place {
  const { s3_host: filedHost, s3_port: filedPort } = boto["Credentials"] ?? {};
  const host = settings.boto_host ?? filedHost ?? boto["s3"]?.["host"] ?? amazon;
  const named = /(^|\.)s3[.-](?:dualstack\.)?(?<region>[a-z]+(-[a-z]+)+-\d)\.amazonaws\.com(\.cn)?$/.exec(host);
  const isAmazon = host === amazon || named !== null;
  const format = settings.boto_calling_format ?? boto["s3"]?.["calling_format"];
  return {
    host,
    port: settings.boto_port ?? (filedPort === undefined ? undefined : Number(filedPort)),
    isAmazon,
    region: settings.s3_region ?? named?.groups?.["region"] ?? (isAmazon ? undefined : "us-east-1"),
    pathStyle: format === undefined ? !isAmazon || !isHostName(bucket) : !format.includes("Subdomain"),
  };
}

/** Where Amazon keeps the bucket: its answers say so, also those that send us elsewhere. */
async function regionOf(client: Client, bucketName: string): Promise<string> {
  const usual = "us-east-1";
  try {
    const response = await client.makeRequestAsync({ method: "HEAD", bucketName }, "", [200], usual);
    response.resume();
    return response.headers["x-amz-bucket-region"]?.toString() ?? usual;
  } catch (error) {
    if (error instanceof ServerFailure && error.region !== undefined) return error.region;
    throw error;
  }
}
