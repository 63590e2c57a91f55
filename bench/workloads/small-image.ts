import { accepting, digestOf, manifestOver } from "../load/small-pushes.ts";
import type { Target } from "./workload.ts";

/** An image of one small blob, tagged `latest`. */
export interface SmallImage {
  /** The manifest's digest. */
  readonly manifest: string;
  /** The manifest's. */
  readonly length: number;
  /** The blob's digest. */
  readonly blob: string;
}

/** Pushes a new one. */
export async function pushSmallImage({ load, server: { url } }: Target, repository: string): Promise<SmallImage> {
  const size = 4096;
  const { result } = await load.run("pushBlobs", { url, repository, count: 1, size, connections: 1 });
  const body = manifestOver({ digest: result.digest, size }, "small");
  await load.run("putManifests", { url, manifests: [{ repository, reference: "latest", body }], connections: 1 });
  return { manifest: digestOf(body), length: Buffer.byteLength(body), blob: result.digest };
}

/** Rejects unless its manifest comes as it was pushed, by tag and by digest. */
export async function verifySmallImage(target: Target, repository: string, image: SmallImage): Promise<void> {
  const { manifest, length } = image;
  for (const reference of ["latest", manifest]) {
    const path = `/v2/${repository}/manifests/${reference}`;
    const { result } = await target.load.run("fetchBody", { url: target.server.url, path, headers: accepting });
    if (result.digest !== manifest || result.length !== length) throw new Error(`GET ${path}: wrong bytes`);
  }
}
