import { RadosGateway } from "../../test/support/radosgw.ts";
import { missingPrograms } from "../../test/support/needs.ts";
import { s3Settings } from "../../test/support/s3-server.ts";
import type { Bucket } from "../load/buckets.ts";
import { emptyBucket } from "./empty-bucket.ts";
import type { Place, Store } from "./store.ts";

/** Ceph's gateway, whose store is in memory, beside the client library that registryctl has too. */
export const s3: Store = {
  name: "s3",
  title: "S3",
  client: "the minio client",
  missing: () => missingPrograms(RadosGateway.programs),
  launch: async () => {
    const server = await RadosGateway.launch();
    return {
      url: server.url,
      newPlace: async () => placeIn(server, await server.newBucket()),
      stop: async () => { await server.stop(); },
    };
  },
}; // prettier-ignore

function placeIn(server: RadosGateway, name: string): Place {
  const { host: endPoint, port, region, account } = server;
  const bucket: Bucket = { endPoint, port, region, ...account, name };
  return {
    settings: s3Settings(server, name),
    put: async (load, size) => {
      const { result, cpuSeconds } = await load.run("putObject", { bucket, size });
      return { result: { ...result, object: result.key }, cpuSeconds };
    },
    get: async (load, { object: key, ...what }) => await load.run("getObjects", { bucket, key, ...what }),
    putMany: async (load, what) => await load.run("putObjects", { bucket, ...what }),
    empty: async () => {
      await emptyBucket(server, name);
    },
  };
}
