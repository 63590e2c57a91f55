import { DriverError } from "../errors.ts";
import { prefixOf } from "../s3/prefix.ts";
import type { BotoSettings } from "../s3/credentials.ts";
import type { GcsSettings } from "./options.ts";

/** Where the images are kept, whichever way they are reached. */
export interface Place {
  readonly bucket: string;
  /** What all names begin with, without a `/` at its end. */
  readonly prefix: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly secure: boolean;
}

/** What the flavor says, and boto's files where it says nothing. */
export function placeOf(settings: GcsSettings, boto: BotoSettings): Place {
  const { boto_bucket: bucket, boto_host: host, boto_port: port, gs_secure: secure } = settings;
  if (bucket === undefined)
    throw new DriverError("REFUSED", "boto_bucket is not set: name the bucket that holds the images");
  const { gs_host: filedHost, gs_port: filedPort } = boto["Credentials"] ?? {};
  return {
    bucket,
    prefix: prefixOf(settings.storage_path),
    host: host ?? filedHost ?? "storage.googleapis.com",
    port: port ?? (filedPort === undefined ? undefined : Number(filedPort)),
    secure,
  };
}

/** Google's limit, in bytes. */
const longestName = 1024;

/** The name, where Google takes it; else INVALID_KEY: names are short enough, and have no ends of lines. */
export function checkedName(name: string): string {
  if (Buffer.byteLength(name) <= longestName && !/[\r\n]/.test(name)) return name;
  throw new DriverError("INVALID_KEY", `${name}: names in a bucket of Google's have 1024 bytes at most, in one line`);
}
