import { manifestOver } from "../load/small-pushes.ts";
import type { UploadForm } from "../load/uploads.ts";
import type { Scale } from "../scale.ts";
import { megabytes } from "./downloads.ts";
import { PerTarget } from "./per-target.ts";
import type { Group, Workload } from "./workload.ts";

/** Large blobs in each way that clients send them. */
export function largePushes(scale: Scale): Group {
  const workload = (name: string, form: UploadForm, how: string): Workload => {
    const repository = `bench/${name}`;
    const last = new PerTarget<string>();
    return {
      name,
      title: `blob push ${megabytes(scale.blob)}, ${how}`,
      unit: "MB/s",
      better: "more",
      per: "GB",
      async sample(target) {
        const job = { url: target.server.url, repository, size: scale.blob, form };
        const { result, cpuSeconds } = await target.load.run("upload", job);
        const { bytes, seconds, digest } = result;
        last.set(target, digest);
        return { value: bytes / seconds / 1e6, work: bytes / 1e9, client: { cpuSeconds, seconds } };
      },
      async verify(target) {
        const digest = last.of(target);
        const path = `/v2/${repository}/blobs/${digest}`;
        await target.load.run("verifyDownload", { url: target.server.url, path, digest });
      },
    };
  };
  return {
    name: "pushes",
    workloads: [
      workload("blob-push-monolithic", "monolithic", "one PUT"),
      workload("blob-push-streamed", "streamed", "one PATCH"),
      workload("blob-push-chunked", "chunked", "16 PATCHes"),
    ],
  };
}

const blobSize = 4096;
const clients = 8;

/** Many small blobs and manifests: what each costs beside its bytes. */
export function smallPushes(scale: Scale): Group {
  const last = new PerTarget<string>();
  const blobs: Workload = {
    name: "small-blobs",
    title: `${scale.smallBlobs} blobs of 4 KiB, ${clients} at a time`,
    unit: "blobs/s",
    better: "more",
    per: "1000",
    async sample(target) {
      const job = { url: target.server.url, repository: "bench/small", count: scale.smallBlobs, size: blobSize };
      const { result, cpuSeconds } = await target.load.run("pushBlobs", { ...job, connections: clients });
      const { count, seconds, digest } = result;
      last.set(target, digest);
      return { value: count / seconds, work: count / 1000, client: { cpuSeconds, seconds } };
    },
    async verify(target) {
      const digest = last.of(target);
      const path = `/v2/bench/small/blobs/${digest}`;
      await target.load.run("verifyDownload", { url: target.server.url, path, digest });
    },
  };
  const base = new PerTarget<string>();
  let serial = 0;
  const manifests: Workload = {
    name: "small-manifests",
    title: `${scale.manifests} manifests, ${clients} at a time`,
    unit: "manifests/s",
    better: "more",
    per: "1000",
    async prepare(target) {
      const job = { url: target.server.url, repository: "bench/small", count: 1, size: blobSize, connections: 1 };
      base.set(target, (await target.load.run("pushBlobs", job)).result.digest);
    },
    async sample(target) {
      const blob = { digest: base.of(target), size: blobSize };
      const puts = Array.from({ length: scale.manifests }, () => {
        const reference = `v${++serial}`;
        return { repository: "bench/small", reference, body: manifestOver(blob, reference) };
      });
      const job = { url: target.server.url, manifests: puts, connections: clients };
      const { result, cpuSeconds } = await target.load.run("putManifests", job);
      const { count, seconds } = result;
      return { value: count / seconds, work: count / 1000, client: { cpuSeconds, seconds } };
    },
  };
  return { name: "small", workloads: [blobs, manifests] };
}
