import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { Client } from "minio";
import { BlobSeries } from "./blob-series.ts";
import type { Moved } from "./downloads.ts";
import type { Counted } from "./small-pushes.ts";

/** A bucket, and who may use it. */
export interface Bucket {
  readonly endPoint: string;
  readonly port: number;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly name: string;
}

/** Writes a new object with nothing but the minio client, in the way of its own choice. */
export async function putObject(job: {
  readonly bucket: Bucket;
  readonly size: number;
}): Promise<Moved & { readonly key: string }> {
  const client = clientOf(job.bucket);
  const blob = new BlobSeries(job.size).next();
  const key = randomUUID();
  const start = performance.now();
  await client.putObject(job.bucket.name, key, Readable.from(blob.chunks()), job.size);
  return { bytes: job.size, seconds: (performance.now() - start) / 1000, key };
}

/** Writes many new objects, several at a time. */
export async function putObjects(job: {
  readonly bucket: Bucket;
  readonly count: number;
  readonly size: number;
  readonly connections: number;
}): Promise<Counted> {
  const client = clientOf(job.bucket);
  const series = new BlobSeries(job.size);
  const queue = Array.from({ length: job.count }, () => Buffer.concat([...series.next().chunks()])).values();
  const start = performance.now();
  const work = async (): Promise<void> => {
    for (const bytes of queue) await client.putObject(job.bucket.name, randomUUID(), bytes, bytes.length);
  };
  await Promise.all(Array.from({ length: job.connections }, work));
  return { count: job.count, seconds: (performance.now() - start) / 1000 };
}

/** Reads an object one time after the other, and throws it away. */
export async function getObjects(job: {
  readonly bucket: Bucket;
  readonly key: string;
  readonly times: number;
  readonly length: number;
}): Promise<Moved> {
  const client = clientOf(job.bucket);
  const start = performance.now();
  for (let turn = 0; turn < job.times; turn++) {
    let length = 0;
    const stream: AsyncIterable<Buffer> = await client.getObject(job.bucket.name, job.key);
    for await (const chunk of stream) length += chunk.length;
    if (length !== job.length) throw new Error(`The object has ${length} bytes`);
  }
  return { bytes: job.times * job.length, seconds: (performance.now() - start) / 1000 };
}

function clientOf({ endPoint, port, region, accessKey, secretKey }: Bucket): Client {
  return new Client({ endPoint, port, region, accessKey, secretKey, useSSL: false });
}
