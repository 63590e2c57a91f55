import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { command } from "./command.ts";
import type { ContainerTools } from "./container-tools.ts";
import type { DockerEngine } from "./docker-engine.ts";
import { FileTree } from "./file-tree.ts";
import { blobOf } from "./image-layout.ts";

/** The files of an image that podman has. Needs tar. */
export async function treeInPodman(tools: ContainerTools, name: string): Promise<FileTree> {
  const folder = (await tools.podman("image", "mount", name)).trim();
  const archive = tools.path("tree.tar");
  const all = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--format=pax"];
  await command("tar", [...all, "-C", folder, "-cf", archive, "."]);
  await tools.podman("image", "unmount", name);
  return await treeIn(archive);
}

/** The files of an image that docker has, without what it adds to each container. */
export async function treeInDocker(engine: DockerEngine, name: string): Promise<FileTree> {
  const container = (await engine.docker("create", "--network", "none", name)).trim();
  const archive = `${engine.folder}/tree.tar`;
  await engine.docker("export", "-o", archive, container);
  await engine.docker("rm", container);
  return await treeIn(archive);
}

async function treeIn(archive: string): Promise<FileTree> {
  const tree = await FileTree.of([createReadStream(archive)]);
  await rm(archive);
  return tree;
}

/** The layers, unpacked, of the one image in a folder of the OCI image layout; they may be plain or gzipped. */
export async function archivesIn(folder: string, digest: string): Promise<readonly Buffer[]> {
  const { layers } = JSON.parse((await blobOf(folder, digest)).toString()) as { layers: { digest: string }[] };
  const archives = [];
  for (const layer of layers) {
    const bytes = await blobOf(folder, layer.digest);
    archives.push(bytes.subarray(0, 2).toString("hex") === "1f8b" ? gunzipSync(bytes) : bytes);
  }
  return archives;
}
