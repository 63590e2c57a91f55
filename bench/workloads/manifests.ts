import { accepting } from "../load/small-pushes.ts";
import type { Scale } from "../scale.ts";
import { PerTarget } from "./per-target.ts";
import { pushSmallImage, verifySmallImage, type SmallImage } from "./small-image.ts";
import type { Group, Target, Workload } from "./workload.ts";

const clients = 32;
const repository = "bench/hot";

/** What every pull begins with: small requests for one image, by many clients. */
export function manifestReads(scale: Scale): Group {
  const content = new PerTarget<SmallImage>();
  const prepare = async (target: Target): Promise<void> => {
    if (!content.has(target)) content.set(target, await pushSmallImage(target, repository));
    await verifySmallImage(target, repository, content.of(target));
  };
  const workload = (
    name: string,
    title: string,
    request: (image: SmallImage) => { method: "GET" | "HEAD"; path: string; length: number },
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
