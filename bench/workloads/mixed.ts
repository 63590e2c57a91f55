import { accepting, manifestOver } from "../load/small-pushes.ts";
import type { Scale } from "../scale.ts";
import { PerTarget } from "./per-target.ts";
import type { Group } from "./workload.ts";

const repository = "bench/mixed";
const clients = 8;
const smallSize = 4096;

/** Small requests while large blobs go in and out: whether one kind starves the other. */
export function mixed(scale: Scale): Group {
  const content = new PerTarget<{ readonly digest: string; readonly length: number }>();
  return {
    name: "mixed",
    workloads: [
      {
        name: "mixed",
        title: `manifest GET, ${clients} clients, while 2 pushes and 2 pulls run`,
        unit: "requests/s",
        better: "more",
        per: "1000 requests",
        async prepare(target) {
          const { load, server } = target;
          const { url } = server;
          const large = await load.run("upload", { url, repository, size: scale.blob, form: "monolithic" });
          const small = await load.run("pushBlobs", { url, repository, count: 1, size: smallSize, connections: 1 });
          const body = manifestOver({ digest: small.result.digest, size: smallSize }, "mixed");
          const manifests = [{ repository, reference: "latest", body }];
          await load.run("putManifests", { url, manifests, connections: 1 });
          content.set(target, { digest: large.result.digest, length: Buffer.byteLength(body) });
        },
        async sample(target) {
          const { url } = target.server;
          const { digest, length } = content.of(target);
          const background = target.background.run("transfers", {
            url,
            repository,
            size: scale.blob,
            pushes: 2,
            pulls: 2,
            digest,
            seconds: scale.mixedSeconds,
          });
          const gets = target.load.run("requests", {
            url,
            method: "GET",
            paths: [`/v2/${repository}/manifests/latest`],
            headers: accepting,
            connections: clients,
            seconds: scale.mixedSeconds,
            status: 200,
            length,
          });
          const [moved, { result, cpuSeconds }] = await Promise.all([background, gets]);
          const { count, seconds, p99 } = result;
          const { pushed, pulled } = moved.result;
          return {
            value: count / seconds,
            work: count / 1000,
            client: { cpuSeconds: cpuSeconds + moved.cpuSeconds, seconds },
            p99,
            beside: {
              "moved MB/s": (pushed.bytes + pulled.bytes) / pushed.seconds / 1e6,
              "pushed MB/s": pushed.bytes / pushed.seconds / 1e6,
              "pulled MB/s": pulled.bytes / pulled.seconds / 1e6,
            },
          };
        },
      },
    ],
  };
}
