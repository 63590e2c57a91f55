import type { S3Server } from "../../test/support/s3-server.ts";
import type { Bucket } from "../load/buckets.ts";
import type { Place } from "./store.ts";

/** The name of the contestant. */
export const minioClient = "the minio client";

/** How the client library alone, which registryctl has too, uses a bucket: what is large goes by parts, in its own way. */
export function byMinio(
  { host: endPoint, port, region, account }: S3Server,
  name: string,
): Pick<Place, "put" | "get" | "putMany"> {
  const bucket: Bucket = { endPoint, port, region, ...account, name };
  return {
    put: async (load, size) => {
      const { result, cpuSeconds } = await load.run("putObject", { bucket, size });
      return { result: { ...result, object: result.key }, cpuSeconds };
    },
    get: async (load, { object: key, ...what }) => await load.run("getObjects", { bucket, key, ...what }),
    putMany: async (load, what) => await load.run("putObjects", { bucket, ...what }),
  };
}
