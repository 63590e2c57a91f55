import { minioClient } from "../contestants/on-bucket.ts";
import type { Bucket } from "../load/buckets.ts";
import type { UploadForm } from "../load/uploads.ts";
import type { Scale } from "../scale.ts";
import { megabytes } from "./downloads.ts";
import { PerTarget } from "./per-target.ts";
import type { Group, Target, Workload } from "./workload.ts";

const repository = "bench/bucket";
const beside = "beside the minio client";
const shared = { better: "more", program: "radosgw" } as const;
const clients = 8;

/** Pushes into a bucket, beside what the minio client alone writes there. */
export function bucketPushes(scale: Scale): Group {
  const large = (name: string, form: UploadForm, how: string): Workload => {
    const last = new PerTarget<string>();
    return {
      ...shared,
      name,
      title: `S3: blob push ${megabytes(scale.blob)}, ${how}, ${beside}`,
      unit: "MB/s",
      per: "GB",
      async sample(target) {
        const { load, server } = target;
        const bucket = bucketOf(target);
        await load.run("emptyBucket", { bucket });
        const size = scale.blob;
        if (isDirect(target)) return moved(await load.run("putObject", { bucket, size }));
        const done = await load.run("upload", { url: server.url, repository, size, form });
        last.set(target, done.result.digest);
        return moved(done);
      },
      async verify(target) {
        if (isDirect(target)) return;
        const digest = last.of(target);
        const path = `/v2/${repository}/blobs/${digest}`;
        await target.load.run("verifyDownload", { url: target.server.url, path, digest });
      },
    };
  };
  const small: Workload = {
    ...shared,
    name: "s3-small-blobs",
    title: `S3: ${scale.smallBlobs} blobs of 4 KiB, ${clients} at a time, ${beside}`,
    unit: "blobs/s",
    per: "1000",
    async sample(target) {
      const what = { count: scale.smallBlobs, size: 4096, connections: clients };
      const { result, cpuSeconds } = isDirect(target)
        ? await target.load.run("putObjects", { bucket: bucketOf(target), ...what })
        : await target.load.run("pushBlobs", { url: target.server.url, repository, ...what });
      const { count, seconds } = result;
      return { value: count / seconds, work: count / 1000, client: { cpuSeconds, seconds } };
    },
  };
  return {
    name: "s3-pushes",
    bucket: "through",
    workloads: [large("s3-push", "monolithic", "one PUT"), large("s3-push-streamed", "streamed", "one PATCH"), small],
  };
}

/** Pulls from a bucket through registryctl, or by its redirects, beside what the minio client alone reads there. */
export function bucketDownloads(scale: Scale, how: "through" | "redirect"): Group {
  const stored = new PerTarget<string>();
  const name = how === "through" ? "s3-get" : "s3-get-redirect";
  const title = `S3: blob GET ${megabytes(scale.blob)}${how === "through" ? "" : " by redirect"}, ${beside}`;
  const workload: Workload = {
    ...shared,
    name,
    title,
    unit: "MB/s",
    per: "GB",
    async prepare(target) {
      const { load, server } = target;
      const size = scale.blob;
      if (isDirect(target)) {
        stored.set(target, (await load.run("putObject", { bucket: bucketOf(target), size })).result.key);
        return;
      }
      const { result } = await load.run("upload", { url: server.url, repository, size, form: "monolithic" });
      stored.set(target, `/v2/${repository}/blobs/${result.digest}`);
    },
    async sample(target) {
      const { load, server } = target;
      const what = { times: scale.downloads.alone, length: scale.blob };
      if (isDirect(target)) {
        return moved(await load.run("getObjects", { bucket: bucketOf(target), key: stored.of(target), ...what }));
      }
      const job = { url: server.url, path: stored.of(target), connections: 1, ...what };
      return moved(await load.run(how === "through" ? "downloads" : "redirectedDownloads", job));
    },
  };
  return { name: how === "through" ? "s3-downloads" : "s3-redirects", bucket: how, workloads: [workload] };
}

function isDirect({ contestant }: Target): boolean {
  return contestant.name === minioClient;
}

function bucketOf({ contestant, server }: Target): Bucket {
  if (!server.bucket) throw new Error(`${contestant.name} has no bucket`);
  return server.bucket;
}

function moved({
  result: { bytes, seconds },
  cpuSeconds,
}: {
  readonly result: { readonly bytes: number; readonly seconds: number };
  readonly cpuSeconds: number;
}) {
  return { value: bytes / seconds / 1e6, work: bytes / 1e9, client: { cpuSeconds, seconds } };
}
