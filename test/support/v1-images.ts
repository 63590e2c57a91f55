import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import type { V1Image } from "./v1-client.ts";

/** A tar with one file, whose content is `size` random bytes. */
export async function tarOf(name: string, size: number): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: `./${name}`, mode: 0o644, mtime: new Date(1_400_000_000_000) }, randomBytes(size));
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** An image as docker 1.5 describes it; its id is made of the parent's and the layer's. */
export function imageOf(
  layer: Buffer,
  parent?: Pick<V1Image, "id">,
  extra: Readonly<Record<string, unknown>> = {},
): V1Image {
  const id = createHash("sha256")
    .update(parent?.id ?? "")
    .update(layer)
    .update(JSON.stringify(extra))
    .digest("hex");
  return describedImage(id, layer.length, () => Readable.from([layer]), parent, extra);
}

/** An image whose layer is made while it is read. */
export function describedImage(
  id: string,
  size: number,
  layer: () => AsyncIterable<Uint8Array>,
  parent?: Pick<V1Image, "id">,
  extra: Readonly<Record<string, unknown>> = {},
): V1Image {
  const json = {
    id,
    ...(parent && { parent: parent.id }),
    created: "2014-06-01T10:00:00.123456789Z",
    container_config: { Cmd: ["/bin/hello"], Env: ["PATH=/bin"] },
    docker_version: "1.5.0",
    author: "curator é",
    config: { Cmd: ["/bin/hello"], Env: ["PATH=/bin"] },
    architecture: "amd64",
    os: "linux",
    Size: size,
    ...extra,
  };
  return { id, json: Buffer.from(JSON.stringify(json)), layer };
}

/** A chain of small images with gzipped layers, base first. */
export async function smallChain(length: number, size = 2000): Promise<readonly V1Image[]> {
  const chain: V1Image[] = [];
  for (let index = 0; index < length; index++) {
    chain.push(imageOf(gzipSync(await tarOf(`file-${index}`, size)), chain.at(-1)));
  }
  return chain;
}
