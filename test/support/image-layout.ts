import { createCipheriv, createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { findProgram } from "./needs.ts";
import { digestOf, imageType, indexType, type BlobDescriptor } from "./oci-image.ts";

/** An image in a folder of the OCI image layout, under the tag `v1`; the same each time for the same name of the folder. */
export interface ImageLayout {
  /** How skopeo, podman and buildah name it. */
  readonly reference: string;
  /** The digest of what the tag names: the manifest, or the index of several. */
  readonly digest: string;
  readonly images: readonly LaidOutImage[];
}

/** One image of a layout. The digest of its configuration is what clients call its id. */
export interface LaidOutImage {
  readonly digest: string;
  readonly config: string;
  readonly layers: readonly string[];
}

/** What the image of a layout prints when it runs. */
export const greeting = "hello from the registry";

/**
 * Writes an image of three layers: a static busybox, files with all that a tar can have, and one that deletes some of
 * them. `noise` is the size of a file that does not get smaller. No layer is one of a folder of another name, or skopeo would
 * take what it has pushed in another compression for it. Needs busybox.
 */
export async function writeImage(folder: string, noise = 100_000): Promise<ImageLayout> {
  const blobs = await blobFolder(folder);
  const image = await addImage(blobs, "amd64", noise);
  await writeIndex(folder, image);
  return { reference: `oci:${folder}:v1`, digest: image.digest, images: [await laidOut(blobs, image)] };
}

/** As `writeImage`, for two architectures under one index. */
export async function writeMultiPlatformImage(folder: string): Promise<ImageLayout> {
  const blobs = await blobFolder(folder);
  const manifests = [];
  for (const architecture of ["amd64", "arm64"]) {
    manifests.push({ ...(await addImage(blobs, architecture, 1000)), platform: { architecture, os: "linux" } });
  }
  const index = await addJson(blobs, indexType, { schemaVersion: 2, mediaType: indexType, manifests });
  await writeIndex(folder, index);
  const images = [];
  for (const manifest of manifests) images.push(await laidOut(blobs, manifest));
  return { reference: `oci:${folder}:v1`, digest: index.digest, images };
}

/** A file of a layout, which is what a digest names. */
export async function blobOf(folder: string, digest: string): Promise<Buffer> {
  return await readFile(join(folder, "blobs", ...digest.split(":")));
}

async function blobFolder(folder: string): Promise<string> {
  await mkdir(join(folder, "blobs/sha256"), { recursive: true });
  await writeFile(join(folder, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`);
  return folder;
}

async function writeIndex(folder: string, named: BlobDescriptor): Promise<void> {
  const manifests = [{ ...named, annotations: { "org.opencontainers.image.ref.name": "v1" } }];
  await writeFile(join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
}

async function addImage(folder: string, architecture: string, noise: number): Promise<BlobDescriptor> {
  const name = basename(folder);
  const tars = [await base(name), await files(architecture, name, noise), await deletions(name)];
  const layers: BlobDescriptor[] = [];
  for (const tar of tars) {
    layers.push(await addBlob(folder, "application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar, { level: 1 })));
  }
  const config = await addJson(folder, "application/vnd.oci.image.config.v1+json", {
    created: "2020-02-02T20:20:20Z",
    architecture,
    os: "linux",
    config: { Cmd: ["/bin/busybox", "cat", "/greeting"], Env: ["PATH=/bin"], Labels: { é: "ü" } },
    rootfs: { type: "layers", diff_ids: tars.map((tar) => digestOf(tar)) },
    history: ["base", "files", "deletions"].map((comment) => ({ created: "2020-02-02T20:20:20Z", comment })),
  });
  return await addJson(folder, imageType, { schemaVersion: 2, mediaType: imageType, config, layers });
}

async function laidOut(folder: string, { digest }: BlobDescriptor): Promise<LaidOutImage> {
  const manifest = JSON.parse((await blobOf(folder, digest)).toString()) as {
    config: BlobDescriptor;
    layers: BlobDescriptor[];
  };
  return { digest, config: manifest.config.digest, layers: manifest.layers.map((layer) => layer.digest) };
}

async function addJson(folder: string, mediaType: string, value: object): Promise<BlobDescriptor> {
  return await addBlob(folder, mediaType, Buffer.from(JSON.stringify(value)));
}

async function addBlob(folder: string, mediaType: string, bytes: Buffer): Promise<BlobDescriptor> {
  const digest = digestOf(bytes);
  await writeFile(join(folder, "blobs", ...digest.split(":")), bytes);
  return { mediaType, digest, size: bytes.length };
}

async function base(name: string): Promise<Buffer> {
  const busybox = await readFile(findProgram("busybox") ?? "busybox");
  return await tar([
    [{ name: "bin", type: "directory", mode: 0o755 }],
    [{ name: "bin/busybox", mode: 0o755 }, busybox],
    [{ name: "bin/sh", type: "symlink", linkname: "busybox" }],
    [{ name: "base-of" }, Buffer.from(name)],
  ]);
}

async function files(architecture: string, name: string, noise: number): Promise<Buffer> {
  return await tar([
    [{ name: "greeting" }, Buffer.from(`${greeting}\n`)],
    [{ name: "architecture" }, Buffer.from(architecture)],
    [{ name: "files-of" }, Buffer.from(name)],
    [{ name: "noise" }, noiseOf(noise)],
    [{ name: "again", type: "link", linkname: "greeting" }],
    [{ name: `${"deep/".repeat(30)}file`, mode: 0o4755, uid: 12, gid: 34 }, Buffer.from("long")],
    [{ name: "grüße" }, Buffer.from("é")],
    [{ name: "removed" }, Buffer.from("not for long")],
  ]);
}

async function deletions(name: string): Promise<Buffer> {
  return await tar([[{ name: ".wh.removed" }], [{ name: "deletions-of" }, Buffer.from(name)]]);
}

interface Entry {
  readonly name: string;
  readonly type?: "file" | "directory" | "symlink" | "link";
  readonly linkname?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

async function tar(entries: readonly (readonly [Entry, Buffer?])[]): Promise<Buffer> {
  const archive = pack();
  for (const [header, content = Buffer.alloc(0)] of entries) {
    archive.entry({ mode: 0o644, mtime: new Date(1_500_000_000_000), ...header }, content);
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Bytes that no compression makes smaller, the same each time. */
function noiseOf(size: number): Buffer {
  const key = createHash("sha256").update(String(size)).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}
