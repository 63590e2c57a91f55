import { execFile } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Scale } from "../scale.ts";
import { writeImageLayout } from "./image-layout.ts";
import { PerTarget } from "./per-target.ts";
import type { Group, Target } from "./workload.ts";

const layers = 10;

/** A real client with a whole image. It verifies what it pulls. */
export function skopeoCopies(scale: Scale): Group {
  let images = 0;
  const pushed = new PerTarget<string>();
  const writeImage = async (target: Target): Promise<void> => {
    const layout = layoutOf(target);
    await rm(layout, { recursive: true, force: true });
    await writeImageLayout(layout, { layers, size: scale.layer });
  };
  const push = async (target: Target): Promise<number> => {
    const image = imageOf(target, ++images);
    const seconds = await skopeo(target, ["copy", "--dest-tls-verify=false", `oci:${layoutOf(target)}:latest`, image]);
    pushed.set(target, image);
    return seconds;
  };
  const size = `${layers} layers, ${Math.round((layers * scale.layer) / 1024 / 1024)} MiB`;
  const shared = { unit: "s", better: "less", per: "1", program: "skopeo" } as const;
  return {
    name: "skopeo",
    workloads: [
      {
        ...shared,
        name: "skopeo-in",
        title: `skopeo copy in, ${size}`,
        before: writeImage,
        async sample(target) {
          return { value: await push(target), work: 1 };
        },
      },
      {
        ...shared,
        name: "skopeo-out",
        title: `skopeo copy out, ${size}`,
        async prepare(target) {
          if (pushed.has(target)) return;
          await writeImage(target);
          await push(target);
        },
        async before(target) {
          await rm(pulledOf(target), { recursive: true, force: true });
        },
        async sample(target) {
          const copy = ["copy", "--src-tls-verify=false", pushed.of(target), `oci:${pulledOf(target)}:latest`];
          return { value: await skopeo(target, copy), work: 1 };
        },
      },
    ],
  };
}

function layoutOf({ folder }: Target): string {
  return join(folder, "layout");
}

function pulledOf({ folder }: Target): string {
  return join(folder, "pulled");
}

function imageOf({ server }: Target, number: number): string {
  return `docker://${new URL(server.url).host}/bench/image-${number}:latest`;
}

/** Runs skopeo with all its files in the target's folder; answers the seconds that it took. */
async function skopeo({ folder }: Target, args: readonly string[]): Promise<number> {
  const temporary = join(folder, "tmp");
  await mkdir(temporary, { recursive: true });
  const env = { ...process.env, TMPDIR: temporary, HOME: folder, XDG_DATA_HOME: folder, REGISTRY_AUTH_FILE: "" };
  const start = performance.now();
  await promisify(execFile)("skopeo", ["--insecure-policy", ...args], { env });
  return (performance.now() - start) / 1000;
}
