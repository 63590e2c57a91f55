import { gzipSync } from "node:zlib";
import { imageType, pushBlob, pushManifest, digestOf, type BlobDescriptor, type PushedManifest } from "./oci-image.ts";
import { tarOf, tarEnd } from "./tar-bytes.ts";
import type { Answer, V1Client } from "./v1-client.ts";

/** A manifest as a client reads it. */
export interface ReadManifest {
  readonly digest: string;
  readonly manifest: { readonly config: BlobDescriptor; readonly layers: readonly BlobDescriptor[] };
  readonly config: {
    readonly rootfs: { readonly diff_ids: readonly string[] };
    readonly history: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
    readonly author?: string;
  };
}

/** A layer to push through V2. */
export interface SampleLayer {
  readonly archive: Buffer;
  readonly bytes: Buffer;
  readonly mediaType: string;
}

const layerType = "application/vnd.oci.image.layer.v1.tar";

/** A gzipped layer with one file. */
export function sampleLayer(name: string): SampleLayer {
  const archive = Buffer.concat([tarOf({ name: `./${name}`, content: Buffer.from(`content of ${name}`) })]);
  return { archive, bytes: gzipSync(archive), mediaType: `${layerType}+gzip` };
}

/** A layer without entries, as docker had it. */
export const emptySample: SampleLayer = { archive: tarEnd, bytes: tarEnd, mediaType: layerType };

/** Pushes an image through V2, the same for the same arguments; `extra` goes into its configuration. */
export async function pushImage(
  client: V1Client,
  name: string,
  reference: string,
  layers: readonly SampleLayer[],
  extra: Readonly<Record<string, unknown>> = {},
): Promise<PushedManifest> {
  const config = {
    architecture: "amd64",
    os: "linux",
    created: "2024-01-02T03:04:05Z",
    config: { Cmd: ["/bin/hello"], Env: ["PATH=/bin"] },
    rootfs: { type: "layers", diff_ids: layers.map(({ archive }) => digestOf(archive)) },
    history: layers.map((_, index) => ({ created: "2024-01-02T03:04:05Z", created_by: `step ${index}` })),
    ...extra,
  };
  const pushed = [];
  for (const { bytes, mediaType } of layers) pushed.push(await pushBlob(client, name, bytes, mediaType));
  const described = await pushBlob(
    client,
    name,
    Buffer.from(JSON.stringify(config)),
    "application/vnd.oci.image.config.v1+json",
  );
  const manifest = { schemaVersion: 2, mediaType: imageType, config: described, layers: pushed };
  return await pushManifest(client, name, reference, manifest);
}

/** Reads a manifest, its configuration and its layers, as a client of today; all must be what their digests say. */
export async function pullImage(client: V1Client, name: string, reference: string): Promise<ReadManifest> {
  const { body, headers } = await client.expect([200], "GET", `/v2/${name}/manifests/${reference}`);
  const digest = digestOf(body);
  if (headers["docker-content-digest"] !== digest)
    throw new Error(`the manifest of ${name}:${reference} is not itself`);
  await client.expect([200], "HEAD", `/v2/${name}/manifests/${digest}`);
  const manifest = JSON.parse(body.toString()) as ReadManifest["manifest"];
  for (const blob of [manifest.config, ...manifest.layers]) {
    const read = await client.expect([200], "GET", `/v2/${name}/blobs/${blob.digest}`);
    if (digestOf(read.body, blob.digest.split(":")[0]) !== blob.digest || read.body.length !== blob.size) {
      throw new Error(`${blob.digest} of ${name}:${reference} is not itself`);
    }
  }
  const config = await client.expect([200], "GET", `/v2/${name}/blobs/${manifest.config.digest}`);
  return { digest, manifest, config: JSON.parse(config.body.toString()) as ReadManifest["config"] };
}

/** What V2 says that is wrong. */
export function problem({ status, body }: Answer): string {
  const { errors } = JSON.parse(body.toString()) as { errors: readonly { code: string; message: string }[] };
  return `${status} ${errors.map(({ code, message }) => `${code}: ${message}`).join()}`;
}
