import type { Scale } from "../scale.ts";
import { PerTarget } from "./per-target.ts";
import type { Group, Target, Workload } from "./workload.ts";

const repository = "bench/large";
const clients = 8;

/** Large blobs, by one client and by several; `front` says what stands in front of the registry. */
export function downloadsOf(scale: Scale, front?: "proxy" | "offload"): Group {
  const digests = new PerTarget<string>();
  const path = (target: Target): string => `/v2/${repository}/blobs/${digests.of(target)}`;
  const prepare = async (target: Target): Promise<void> => {
    if (digests.has(target)) return;
    const { url } = target.server;
    const { result } = await target.load.run("upload", { url, repository, size: scale.blob, form: "monolithic" });
    digests.set(target, result.digest);
    await target.load.run("verifyDownload", { url, path: path(target), digest: result.digest });
  };
  const { suffix, through } = names[front ?? "none"];
  const workload = (name: string, by: string, connections: number, times: number): Workload => ({
    name: `${name}${suffix}`,
    title: `blob GET ${megabytes(scale.blob)}, ${by}${through}`,
    unit: "MB/s",
    better: "more",
    per: "GB",
    ...(front && { program: "nginx" }),
    prepare,
    async sample(target) {
      const job = { url: target.server.url, path: path(target), connections, times, length: scale.blob };
      const { result, cpuSeconds } = await target.load.run("downloads", job);
      const { bytes, seconds } = result;
      return { value: bytes / seconds / 1e6, work: bytes / 1e9, client: { cpuSeconds, seconds } };
    },
  });
  return {
    name: `downloads${suffix}`,
    ...(front && { front }),
    workloads: [
      workload("blob-get", "1 client", 1, scale.downloads.alone),
      workload("blob-get-8", `${clients} clients`, clients, scale.downloads.together),
    ],
  };
}

const names = {
  none: { suffix: "", through: "" },
  proxy: { suffix: "-nginx", through: ", through nginx" },
  offload: { suffix: "-offload", through: ", nginx sends" },
} as const;

/** A size as titles tell it. */
export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
