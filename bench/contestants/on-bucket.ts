import { RadosGateway } from "../../test/support/radosgw.ts";
import { s3Settings } from "../../test/support/s3-server.ts";
import type { Bucket } from "../load/buckets.ts";
import type { Contestant } from "./contestant.ts";
import { killedToo } from "./service.ts";

/**
 * registryctl on a bucket of Ceph's, whose store is in memory, and the minio client that uses a bucket of the same server
 * without any registry. `redirect` lets registryctl send clients to the bucket.
 */
export function onBucket(ours: Contestant | undefined, how: "through" | "redirect"): readonly Contestant[] {
  if (!ours) throw new Error("nobody is measured");
  const gateway = new SharedGateway();
  return [
    {
      ...ours,
      async start(folder) {
        const { server, name } = await gateway.open();
        try {
          const storage = { ...s3Settings(server, name), storage_redirect: how === "redirect" };
          const started = await ours.start(folder, { storage });
          const stop = async (): Promise<void> => {
            await started.stop();
            await gateway.close();
          };
          return { ...started, bucket: bucketOf(server, name), stop };
        } catch (error) {
          await gateway.close();
          throw error;
        }
      },
    },
    {
      name: minioClient,
      speaksV1: false,
      async start() {
        const { server, name } = await gateway.open();
        const stop = async (): Promise<void> => {
          await gateway.close();
        };
        return { url: server.url, pids: [], readyAfter: Number.NaN, bucket: bucketOf(server, name), stop };
      },
    },
  ];
}

/** The name of the contestant that is no registry. */
export const minioClient = "the minio client";

function bucketOf({ host, port, region, account }: RadosGateway, name: string): Bucket {
  return { endPoint: host, port, region, ...account, name };
}

/** One server for all contestants, each with a bucket of its own; stopped by the last. */
class SharedGateway {
  #server: Promise<RadosGateway> | undefined;
  #users = 0;
  #forget: () => void = () => undefined;

  async open(): Promise<{ readonly server: RadosGateway; readonly name: string }> {
    this.#server ??= RadosGateway.launch();
    const server = await this.#server;
    if (this.#users++ === 0) this.#forget = killedToo(() => server.stop());
    return { server, name: await server.newBucket() };
  }

  async close(): Promise<void> {
    if (--this.#users > 0) return;
    this.#forget();
    await (await this.#server)?.stop();
  }
}
