import { RadosGateway } from "../../test/support/radosgw.ts";
import { missingPrograms } from "../../test/support/needs.ts";
import { s3Settings } from "../../test/support/s3-server.ts";
import { emptyBucket } from "./empty-bucket.ts";
import { byMinio, minioClient } from "./minio.ts";
import type { Place, Store } from "./store.ts";

/** Ceph's gateway, whose store is in memory, beside the client library that registryctl has too. */
export const s3: Store = {
  name: "s3",
  title: "S3",
  client: minioClient,
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
  return {
    settings: s3Settings(server, name),
    ...byMinio(server, name),
    empty: async () => {
      await emptyBucket(server, name);
    },
  };
}
