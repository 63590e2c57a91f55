import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { emptySample, pullImage, pushImage, sampleLayer } from "./bridged-registry.ts";
import { digestOf, imageType, indexType, pushBlob, pushManifest } from "./oci-image.ts";
import { tarOf } from "./tar-bytes.ts";
import type { V1Client } from "./v1-client.ts";
import { smallChain } from "./v1-images.ts";

/** Tags that `pushVariedImages` pushed, by the protocol of the push. */
export interface VariedImages {
  readonly v1: readonly string[];
  readonly v2: readonly string[];
  /** The digest of a manifest with two referrers, in `team/multi`. */
  readonly subject: string;
}

/** Pushes images of every kind through both protocols, and pulls some through the other one, which leaves traces. */
export async function pushVariedImages(client: V1Client, noise = 1_000_000): Promise<VariedImages> {
  const chain = await smallChain(5, noise / 10);
  await client.push("old/app", "v1", chain);
  await client.push("old/app", "latest", chain.slice(0, 3));
  await client.push("old-library", "v1", await smallChain(2));
  const large = tarOf({ name: "./noise", content: randomBytes(noise) });
  const layers = [sampleLayer("base"), emptySample, { archive: large, bytes: gzipSync(large), mediaType: imageLayer }];
  const image = await pushImage(client, "team/app", "v1", layers);
  await pushImage(client, "team/app", "v2", layers.slice(0, 2), { author: "somebody" });
  await pushImage(client, "library/base", "1.0", layers.slice(0, 1));
  const other = await pushImage(client, "team/multi", "arm", layers.slice(0, 1), { architecture: "arm64" });
  await pushImage(client, "team/multi", "amd", layers);
  const manifests = [image, other].map(({ bytes, digest }, index) => ({
    ...{ mediaType: imageType, digest, size: bytes.length },
    platform: { os: "linux", architecture: ["amd64", "arm64"][index] },
  }));
  await pushManifest(client, "team/multi", "all", { schemaVersion: 2, mediaType: indexType, manifests }, indexType);
  for (const kind of ["signature", "sbom"]) {
    const blob = await pushBlob(client, "team/multi", Buffer.from(kind), "application/octet-stream", "sha512");
    const config = await pushBlob(client, "team/multi", Buffer.from("{}"), "application/vnd.oci.empty.v1+json");
    const subject = { mediaType: imageType, digest: image.digest, size: image.bytes.length };
    const manifest = { schemaVersion: 2, mediaType: imageType, artifactType: `test/${kind}`, config, layers: [blob], subject }; // prettier-ignore
    await pushManifest(client, "team/multi", digestOf(JSON.stringify(manifest)), manifest);
  }
  await pullImage(client, "old/app", "latest");
  await client.pull("team/app", "v1");
  return {
    v1: ["old/app:v1", "old/app:latest", "old-library:v1"],
    v2: ["team/app:v1", "team/app:v2", "library/base:1.0", "team/multi:arm", "team/multi:amd", "team/multi:all"],
    subject: image.digest,
  };
}

const imageLayer = "application/vnd.oci.image.layer.v1.tar+gzip";

/** All that a client of V2 finds: every tag of every repository with its manifests, whose blobs are read and hashed. */
export async function pulledByV2(client: V1Client): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await listOf(client, "/v2/_catalog?n=1000", "repositories")) {
    for (const tag of await listOf(client, `/v2/${name}/tags/list?n=1000`, "tags")) {
      found.push(`${name}:${tag} ${await pulledTree(client, name, tag)}`);
    }
  }
  return found;
}

/** The digest of what a reference names, once all below it has been read and hashed. */
export async function pulledTree(client: V1Client, name: string, reference: string): Promise<string> {
  const { body, headers } = await client.expect([200], "GET", `/v2/${name}/manifests/${reference}`);
  const { manifests } = JSON.parse(body.toString()) as { readonly manifests?: readonly { readonly digest: string }[] };
  for (const { digest } of manifests ?? []) await pulledTree(client, name, digest);
  if (!manifests) return (await pullImage(client, name, reference)).digest;
  expect(headers["docker-content-digest"]).to.equal(digestOf(body));
  return digestOf(body);
}

/** What clients of V1 find in a repository: each tag with its images, whose layers are read and hashed. */
export async function pulledByV1(client: V1Client, repository: string): Promise<unknown> {
  const path = repository.split("/").map(encodeURIComponent).join("/");
  const { body } = await client.expect([200], "GET", `/v1/repositories/${path}/tags`);
  const tags = JSON.parse(body.toString()) as Readonly<Record<string, string>>;
  const pulled: [string, unknown][] = [];
  for (const tag of Object.keys(tags).sort()) {
    const { body: ancestry } = await client.expect([200], "GET", `/v1/images/${tags[tag]}/ancestry`);
    const ids = JSON.parse(ancestry.toString()) as readonly string[];
    const images = [];
    for (const id of ids) images.push(await client.pullImage(id));
    pulled.push([tag, images]);
  }
  return pulled;
}

/**
 * Pulls all that there is from both servers, with clients of both protocols: the images of `pushed`, the repositories of V1
 * that `old` names, and what refers to an image.
 */
export async function expectSamePulled(
  target: V1Client,
  from: V1Client,
  pushed: VariedImages,
  old: readonly { readonly repository: string }[],
): Promise<void> {
  expect(await pulledByV2(target)).to.deep.equal(await pulledByV2(from));
  const ofV1 = [...pushed.v1, ...pushed.v2].map((name) => name.split(":")[0] ?? "");
  for (const repository of new Set([...ofV1, ...old.map(({ repository }) => repository)])) {
    expect(await pulledByV1(target, repository), repository).to.deep.equal(await pulledByV1(from, repository));
  }
  const referrers = await target.expect([200], "GET", `/v2/team/multi/referrers/${pushed.subject}`);
  const { manifests } = JSON.parse(referrers.body.toString()) as { readonly manifests: readonly { digest: string }[] };
  expect(manifests).to.have.length(2);
  for (const { digest } of manifests) await pulledTree(target, "team/multi", digest);
}

async function listOf(client: V1Client, path: string, field: string): Promise<readonly string[]> {
  const { body } = await client.expect([200], "GET", path);
  return (JSON.parse(body.toString()) as Record<string, readonly string[] | null>)[field] ?? [];
}
