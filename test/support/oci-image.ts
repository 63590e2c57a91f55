import { createHash } from "node:crypto";
import type { V1Client } from "./v1-client.ts";

export const imageType = "application/vnd.oci.image.manifest.v1+json";
export const indexType = "application/vnd.oci.image.index.v1+json";

/** The digest of bytes. */
export function digestOf(bytes: Uint8Array | string, algorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** What a manifest says of a blob. */
export interface BlobDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Pushes a blob with POST and PUT; answers its descriptor. */
export async function pushBlob(
  client: V1Client,
  name: string,
  bytes: Buffer,
  mediaType = "application/vnd.oci.image.layer.v1.tar",
  algorithm = "sha256",
): Promise<BlobDescriptor> {
  const digest = digestOf(bytes, algorithm);
  const started = await client.expect([202], "POST", `/v2/${name}/blobs/uploads/`, { body: Buffer.alloc(0) });
  const location = started.headers.location ?? "";
  const put = `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;
  await client.expect([201], "PUT", put, { body: bytes });
  return { mediaType, digest, size: bytes.length };
}

/** A manifest and its digest. */
export interface PushedManifest {
  readonly bytes: Buffer;
  readonly digest: string;
}

/** Puts a manifest under a tag or digest. */
export async function pushManifest(
  client: V1Client,
  name: string,
  reference: string,
  manifest: object,
  type = imageType,
): Promise<PushedManifest> {
  const bytes = Buffer.from(JSON.stringify(manifest));
  await client.expect([201], "PUT", `/v2/${name}/manifests/${reference}`, {
    headers: { "Content-Type": type },
    body: bytes,
  });
  return { bytes, digest: digestOf(bytes) };
}

/** Pulls an image of one platform as clients do; fails unless each blob is what its digest says. */
export async function pullImage(client: V1Client, name: string, tag: string): Promise<void> {
  const { body } = await client.expect([200], "GET", `/v2/${name}/manifests/${tag}`);
  const { config, layers } = JSON.parse(body.toString()) as { config: BlobDescriptor; layers: readonly BlobDescriptor[] }; // prettier-ignore
  for (const { digest } of [config, ...layers]) {
    const blob = await client.expect([200], "GET", `/v2/${name}/blobs/${digest}`);
    if (digestOf(blob.body) !== digest) throw new Error(`${digest} of ${name} is ${digestOf(blob.body)}`);
  }
}

/** Pushes the blobs of an image and answers its manifest. */
export async function imageManifest(client: V1Client, name: string, seed: string): Promise<object> {
  const config = await pushBlob(
    client,
    name,
    Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", seed })),
    "application/vnd.oci.image.config.v1+json",
  );
  const layer = await pushBlob(client, name, Buffer.from(`layer of ${seed}`));
  return { schemaVersion: 2, mediaType: imageType, config, layers: [layer] };
}
