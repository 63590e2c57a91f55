import { Client } from "minio";
import { DriverError } from "../errors.ts";
import type { OptionNames } from "./failure.ts";

type RequestOptions = Parameters<Client["getRequestOptions"]>[0];

/**
 * The client library for one bucket, whose region is known to the caller. It takes old names of Amazon's, and those that Ceph
 * and Google give today, with `_` and capitals, and puts the name into the path where it is told to, at Amazon's hosts too.
 */
export class BucketClient extends Client {
  override async getBucketRegionAsync(): Promise<string> {
    return await Promise.resolve(this.region ?? "us-east-1");
  }

  protected override getRequestOptions(options: RequestOptions): ReturnType<Client["getRequestOptions"]> {
    return super.getRequestOptions({ ...options, pathStyle: this.pathStyle });
  }
}

/** Rejects what no server has for a bucket. */
export function requireBucketName(name: string, { bucket }: Pick<OptionNames, "bucket">): void {
  if (/^[a-z\d][\w.-]{2,254}$/i.test(name)) return;
  throw new DriverError("REFUSED", `${bucket} can't be the name of a bucket: ${name}`);
}

/** Whether a name of a bucket can be a part of a host's. */
export function isHostName(name: string): boolean {
  return /^[a-z\d]([a-z\d.-]{0,61}[a-z\d])?$/.test(name) && !name.includes("..");
}
