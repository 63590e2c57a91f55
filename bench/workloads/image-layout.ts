import { createHash, randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { tarEnd, tarHeader } from "../tar-header.ts";

/** Writes an image of random layers, each of `size` bytes, as an OCI image layout; no registry has seen any of them. */
export async function writeImageLayout(
  folder: string,
  { layers, size }: { readonly layers: number; readonly size: number },
): Promise<void> {
  const blobs = join(folder, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  const write = async (mediaType: string, bytes: Buffer) => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const described: object[] = [];
  const diffIds: string[] = [];
  for (let index = 0; index < layers; index++) {
    const tar = Buffer.concat([tarHeader(`layer-${index}`, size), randomBytes(size), tarEnd(size)]);
    diffIds.push(`sha256:${createHash("sha256").update(tar).digest("hex")}`);
    described.push(await write("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar, { level: 0 })));
  }
  const json = async (mediaType: string, value: object) => await write(mediaType, Buffer.from(JSON.stringify(value)));
  const config = await json("application/vnd.oci.image.config.v1+json", {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: diffIds },
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = await json(mediaType, { schemaVersion: 2, mediaType, config, layers: described });
  const annotations = { "org.opencontainers.image.ref.name": "latest" };
  await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(
    join(folder, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
}
