import { randomUUID } from "node:crypto";
import { gateSettings, GoogleGate } from "../../test/support/gcs-gate.ts";
import { missingPrograms } from "../../test/support/needs.ts";
import { byCurl, curl } from "./curl.ts";
import { emptyBucket } from "./empty-bucket.ts";
import { byMinio, minioClient } from "./minio.ts";
import type { Place, Store } from "./store.ts";

/** Seconds for which a signed URL is good. */
const validity = 3600;

/**
 * Google's XML API as far as it can be had without Google: Ceph's gateway, behind nginx that refuses what Google lacks. Beside
 * the client library that registryctl has too, which sends parts as it does.
 */
export const gcs: Store = {
  name: "gcs",
  title: "GCS",
  client: minioClient,
  missing: () => missingPrograms(GoogleGate.programs),
  launch: async () => await launch(byMinio),
};

/** The same server beside curl, which sends one object, signed beforehand, of bytes that it never looks at. */
export const gcsBesideCurl: Store = {
  name: "gcs-curl",
  title: "GCS, beside curl",
  client: curl,
  missing: () => missingPrograms([...GoogleGate.programs, curl]),
  launch: async () => await launch(signedForCurl),
};

type Client = (server: GoogleGate, bucket: string, folder: string) => Pick<Place, "put" | "get">;

async function launch(client: Client): ReturnType<Store["launch"]> {
  const server = await GoogleGate.launch();
  return {
    url: `http://${server.host}:${server.port}`,
    newPlace: async (folder) => {
      const bucket = await server.newBucket();
      return {
        settings: gateSettings(server, bucket),
        ...client(server, bucket, folder),
        empty: async () => {
          await emptyBucket(server.gateway, bucket);
        },
      };
    },
    stop: async () => {
      await server.stop();
    },
  };
}

function signedForCurl(server: GoogleGate, bucket: string, folder: string): Pick<Place, "put" | "get"> {
  const client = server.client();
  return byCurl(folder, async () => {
    const name = randomUUID();
    return {
      put: { url: await client.presignedPutObject(bucket, name, validity) },
      get: { url: await client.presignedGetObject(bucket, name, validity) },
    };
  });
}
