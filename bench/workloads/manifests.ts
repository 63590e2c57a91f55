import { accepting, digestOf, manifestOver } from "../load/small-pushes.ts";
import type { Scale } from "../scale.ts";
import { PerTarget } from "./per-target.ts";
import type { Group, Target, Workload } from "./workload.ts";

const clients = 32;
const repository = "bench/hot";

interface Content {
  readonly manifest: string;
  readonly length: number;
  readonly blob: string;
}

/** What every pull begins with: small requests for one image, by many clients. */
export function manifestReads(scale: Scale): Group {
  const content = new PerTarget<Content>();
  const prepare = async (target: Target): Promise<void> => {
    if (!content.has(target)) content.set(target, await pushImage(target));
    const { manifest, length } = content.of(target);
    for (const reference of ["latest", manifest]) {
      const path = `/v2/${repository}/manifests/${reference}`;
      const { result } = await target.load.run("fetchBody", { url: target.server.url, path, headers: accepting });
      if (result.digest !== manifest || result.length !== length) throw new Error(`GET ${path}: wrong bytes`);
    }
  };
  const workload = (
    name: string,
    title: string,
    request: (content: Content) => { method: "GET" | "HEAD"; path: string; length: number },
  ): Workload => ({
    name,
    title: `${title}, ${clients} clients`,
    unit: "requests/s",
    better: "more",
    per: "1000 requests",
    prepare,
    async sample(target) {
      const { method, path, length } = request(content.of(target));
      const { result, cpuSeconds } = await target.load.run("requests", {
        url: target.server.url,
        method,
        paths: [path],
        headers: accepting,
        connections: clients,
        seconds: scale.seconds,
        status: 200,
        length,
      });
      const { count, seconds, p99 } = result;
      return { value: count / seconds, work: count / 1000, client: { cpuSeconds, seconds }, p99 };
    },
  });
  const path = (kind: "manifests" | "blobs", reference: string): string => `/v2/${repository}/${kind}/${reference}`;
  return {
    name: "manifests",
    workloads: [
      workload("manifest-get-tag", "manifest GET by tag", ({ length }) => ({
        method: "GET",
        path: path("manifests", "latest"),
        length,
      })),
      workload("manifest-get-digest", "manifest GET by digest", ({ manifest, length }) => ({
        method: "GET",
        path: path("manifests", manifest),
        length,
      })),
      workload("manifest-head", "manifest HEAD by tag", ({ length }) => ({
        method: "HEAD",
        path: path("manifests", "latest"),
        length,
      })),
      workload("blob-head", "blob HEAD", ({ blob, length }) => ({ method: "HEAD", path: path("blobs", blob), length })),
    ],
  };
}

async function pushImage({ load, server: { url } }: Target): Promise<Content> {
  const size = 4096;
  const { result } = await load.run("pushBlobs", { url, repository, count: 1, size, connections: 1 });
  const body = manifestOver({ digest: result.digest, size }, "hot");
  await load.run("putManifests", { url, manifests: [{ repository, reference: "latest", body }], connections: 1 });
  return { manifest: digestOf(body), length: Buffer.byteLength(body), blob: result.digest };
}
