import { randomUUID } from "node:crypto";
import { gateSettings, GoogleGate } from "../../test/support/gcs-gate.ts";
import { missingPrograms } from "../../test/support/needs.ts";
import { byCurl, curl } from "./curl.ts";
import { emptyBucket } from "./empty-bucket.ts";
import type { Store } from "./store.ts";

/** Seconds for which a signed URL is good. */
const validity = 3600;

/** Google's XML API as far as it can be had without Google: Ceph's gateway, behind nginx that refuses what Google lacks. */
export const gcs: Store = {
  name: "gcs",
  title: "GCS",
  client: curl,
  missing: () => missingPrograms([...GoogleGate.programs, curl]),
  launch: async () => {
    const server = await GoogleGate.launch();
    return {
      url: `http://${server.host}:${server.port}`,
      newPlace: async (folder) => {
        const client = server.client();
        const bucket = await server.newBucket();
        const make = async () => {
          const name = randomUUID();
          return {
            put: { url: await client.presignedPutObject(bucket, name, validity) },
            get: { url: await client.presignedGetObject(bucket, name, validity) },
          };
        };
        return {
          settings: gateSettings(server, bucket),
          ...byCurl(folder, make),
          empty: async () => {
            await emptyBucket(server.gateway, bucket);
          },
        };
      },
      stop: async () => {
        await server.stop();
      },
    };
  },
};
