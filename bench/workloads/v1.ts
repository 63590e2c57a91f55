import type { Scale } from "../scale.ts";
import { megabytes } from "./downloads.ts";
import { PerTarget } from "./per-target.ts";
import type { Group, Target } from "./workload.ts";

interface Layer {
  readonly id: string;
  readonly digest: string;
  readonly length: number;
}

/** Layers through Docker Registry V1, which no peer speaks: their figures stand alone. */
export function v1Layers(scale: Scale): Group {
  const layers = new PerTarget<Layer>();
  const push = async (target: Target) => {
    const pushed = await target.load.run("pushV1Image", { url: target.server.url, size: scale.blob });
    layers.set(target, pushed.result);
    return pushed;
  };
  const path = (target: Target): string => `/v1/images/${layers.of(target).id}/layer`;
  const shared = { unit: "MB/s", better: "more", per: "GB", protocol: "v1" } as const;
  const verify = async (target: Target): Promise<void> => {
    const { digest } = layers.of(target);
    await target.load.run("verifyDownload", { url: target.server.url, path: path(target), digest });
  };
  return {
    name: "v1",
    workloads: [
      {
        ...shared,
        name: "v1-layer-push",
        title: `V1 push of a layer of ${megabytes(scale.blob)}`,
        async sample(target) {
          const { result, cpuSeconds } = await push(target);
          const { bytes, seconds } = result;
          return { value: bytes / seconds / 1e6, work: bytes / 1e9, client: { cpuSeconds, seconds } };
        },
        verify,
      },
      {
        ...shared,
        name: "v1-layer-pull",
        title: `V1 pull of a layer of ${megabytes(scale.blob)}, 1 client`,
        async prepare(target) {
          if (!layers.has(target)) await push(target);
          await verify(target);
        },
        async sample(target) {
          const { length } = layers.of(target);
          const job = { url: target.server.url, path: path(target), connections: 1, times: scale.downloads.alone };
          const { result, cpuSeconds } = await target.load.run("downloads", { ...job, length });
          const { bytes, seconds } = result;
          return { value: bytes / seconds / 1e6, work: bytes / 1e9, client: { cpuSeconds, seconds } };
        },
      },
    ],
  };
}
