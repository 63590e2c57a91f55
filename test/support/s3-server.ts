import { randomUUID } from "node:crypto";
import { Client } from "minio";

/** Who signs requests. */
export interface S3Account {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** A server of the test's own that speaks S3. */
export interface S3Server {
  readonly host: string;
  readonly port: number;
  readonly region: string;
  readonly account: S3Account;
  /** The client library on its own, to prepare things and to look behind the driver. */
  client(account?: S3Account): Client;
  /** Makes a bucket that no other test uses. */
  newBucket(): Promise<string>;
  stop(): Promise<void>;
}

/** A client of the server's that is told nothing of the driver's. */
export function s3Client(server: Pick<S3Server, "host" | "port" | "region">, account: S3Account): Client {
  const { host: endPoint, port, region } = server;
  return new Client({ endPoint, port, useSSL: false, region, ...account });
}

/** Makes a bucket by a name that nobody has. */
export async function makeBucket(client: Client): Promise<string> {
  const bucket = `bucket-${randomUUID()}`;
  await client.makeBucket(bucket);
  return bucket;
}

/** The options of a flavor that keeps its images in `bucket` there. */
export function s3Settings(server: S3Server, bucket: string, port = server.port) {
  return {
    storage: "s3",
    storage_path: "/registry",
    s3_bucket: bucket,
    s3_access_key: server.account.accessKey,
    s3_secret_key: server.account.secretKey,
    s3_encrypt: false,
    s3_secure: false,
    s3_region: server.region,
    boto_host: server.host,
    boto_port: port,
    boto_debug: 0,
  } as const;
}

/** The same as lines of a flavor. */
export function s3Flavor(server: S3Server, bucket: string, port = server.port): readonly string[] {
  return Object.entries(s3Settings(server, bucket, port)).map(([key, value]) => `${key}: ${value}`);
}
