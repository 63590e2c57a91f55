import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { tarEnd, tarEntry } from "./tar-bytes.ts";

/** The versions of the Python registry whose stores are written. */
export const oldVersions = ["0.6.9", "0.7.1", "0.9.1"] as const;
export type OldVersion = (typeof oldVersions)[number];

/** A tag of the store as clients of V1 spell it, and the images that it leads to, base first. */
export interface OldTag {
  readonly repository: string;
  readonly tag: string;
  readonly images: readonly OldImage[];
  /** Whether V2 can spell both. */
  readonly isSpelt: boolean;
}

export interface OldImage {
  readonly id: string;
  readonly json: string;
  readonly layer: Buffer;
  /** The file in the layer; undefined in docker's empty one. */
  readonly file: { readonly name: string; readonly content: Buffer } | undefined;
}

/** A whole store, which is the same each time for the same version. */
export interface OldStore {
  readonly tags: readonly OldTag[];
  readonly files: ReadonlyMap<string, string | Buffer>;
}

/**
 * A store as a version of the Python registry left it, of `repositories` repositories with four images of their own each, and odd names
 * among them: quoted as that version quoted, with its forms of checksums and its caches.
 */
export function oldStore(version: OldVersion, repositories = 50): OldStore {
  const files = new Map<string, string | Buffer>();
  const tags: OldTag[] = [];
  const base = imageOf(version, "common base", undefined);
  writeOldImage(files, version, [base]);
  for (let index = 0; index < repositories; index++) {
    const repository = repositoryName(version, index);
    // Every third repository is built on what others are built on too.
    const chain = index % 3 === 0 ? [base] : [];
    const length = chain.length + 4;
    while (chain.length < length) {
      chain.push(imageOf(version, `${repository} ${chain.length}`, chain.at(-1), index));
      writeOldImage(files, version, chain);
    }
    const folder = `repositories/${folderOf(version, repository)}`;
    files.set(`${folder}/_index_images`, JSON.stringify(chain.map(({ id }) => ({ id }))));
    for (const [position, tag] of tagNames(version, index).entries()) {
      const images = chain.slice(0, chain.length - (position % 2));
      const { id = "" } = images.at(-1) ?? {};
      files.set(`${folder}/tag_${version === "0.9.1" ? quoted(tag) : tag}`, id);
      files.set(`${folder}/tag${version === "0.9.1" ? quoted(tag) : tag}_json`, `{"last_update": ${index}}`);
      const isSpelt = /^[a-z0-9/.-]+$/.test(repository) && /^[\w.-]+$/.test(tag);
      tags.push({ repository, tag, images, isSpelt });
    }
    if (index % 7 === 0) files.set(`${folder}/_private`, "");
  }
  return { tags, files };
}

/** Writes the files of a store. */
export async function writeStore(root: string, files: OldStore["files"]): Promise<void> {
  for (const [path, content] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

/** The hash, the times and the mode of every file, by path; `of` are the paths to look at, all without it. */
export async function fingerprints(root: string, of?: Iterable<string>): Promise<ReadonlyMap<string, string>> {
  const entries = of ? [] : await readdir(root, { recursive: true, withFileTypes: true });
  const all = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  const found = new Map<string, string>();
  for (const path of of ?? all) {
    const { mtimeMs, mode, uid } = await lstat(join(root, path));
    const hash = createHash("sha256").update(await readFile(join(root, path)));
    found.set(path, `${hash.digest("hex")} ${mtimeMs} ${mode} ${uid}`);
  }
  return found;
}

/** A layer with one file, packed as `index` says: gzip mostly, also not at all, or docker's empty one. */
function layerOf(text: string, index: number): Pick<OldImage, "layer" | "file"> {
  if (index % 10 === 6) return { layer: tarEnd, file: undefined };
  const file = { name: `./${text.replace(/\W/g, "-")}`, content: Buffer.from(text.repeat(50)) };
  const archive = Buffer.concat([tarEntry(file), tarEnd]);
  return { layer: index % 10 === 3 ? archive : gzipSync(archive), file };
}

/** The checksum that docker before 0.10 sent: of the JSON and of each file's header and content. */
function tarsumOf({ json, file }: OldImage): string {
  const hash = createHash("sha256").update(json);
  if (file) {
    const { name, content } = file;
    const header = `name${name}mode420uid0gid0size${content.length}mtime1389000000typeflag0linknameunamegnamedevmajor0devminor0`;
    hash.update(createHash("sha256").update(header).update(content).digest("hex"));
  }
  return `tarsum+sha256:${hash.digest("hex")}`;
}

function imageOf(version: OldVersion, text: string, parent: OldImage | undefined, index = 0): OldImage {
  const id = createHash("sha256")
    .update(`${version} ${text} ${parent?.id ?? ""}`)
    .digest("hex");
  const json = JSON.stringify({
    id,
    ...(parent && { parent: parent.id }),
    created: "2014-02-03T04:05:06.789012345Z",
    container_config: { Cmd: ["/bin/sh", "-c", `echo ${text}`] },
    docker_version: "0.9.1",
    author: "Zoë",
    config: { Cmd: ["/bin/sh"], Env: ["PATH=/bin", `OF=${text}`] },
    architecture: "x86_64",
    os: "linux",
  });
  return { id, json, ...layerOf(text, index) };
}

/** The files of the last image of a chain. */
function writeOldImage(files: Map<string, string | Buffer>, version: OldVersion, chain: readonly OldImage[]): void {
  const image = chain.at(-1);
  if (!image || files.has(`images/${image.id}/json`)) return;
  const folder = `images/${image.id}`;
  files.set(`${folder}/json`, image.json);
  files.set(`${folder}/layer`, image.layer);
  files.set(`${folder}/ancestry`, JSON.stringify(chain.map(({ id }) => id).reverse()).replaceAll(",", ", "));
  const payload = `sha256:${createHash("sha256").update(image.json).update("\n").update(image.layer).digest("hex")}`;
  if (version === "0.6.9") files.set(`${folder}/_checksum`, tarsumOf(image));
  if (version === "0.7.1") files.set(`${folder}/_checksum`, `["${payload}", "${tarsumOf(image)}"]`);
  if (version === "0.9.1") files.set(`${folder}/_checksum`, `["${payload}"]`);
  if (version !== "0.9.1" || image.layer.length % 2 === 0) files.set(`${folder}/_files`, "[]");
}

function repositoryName(version: OldVersion, index: number): string {
  if (index === 0) return "library/ubuntu";
  if (index === 1) return "foo/UPPER";
  if (index === 2 && version !== "0.6.9") return "foo/more/parts";
  if (index === 4 && version !== "0.6.9") return "foo/sp ace";
  return index % 5 === 0 ? `library/app-${index}` : `team-${index % 4}/app.${index}`;
}

function tagNames(version: OldVersion, index: number): readonly string[] {
  const odd = index % 10 === 9 && version !== "0.6.9" ? ["a+1 x"] : [];
  return ["latest", ...(index % 2 === 0 ? [`v${index}.0_rc-1`] : []), ...odd];
}

/** The folders of a repository: 0.9 quoted the quoted name again, 0.7 once, 0.6 not at all. */
function folderOf(version: OldVersion, repository: string): string {
  const [namespace = "", ...rest] = repository.split("/");
  const name = quoted(rest.join("/"));
  return `${namespace}/${version === "0.9.1" ? quoted(name) : version === "0.7.1" ? name : rest.join("/")}`;
}

/** Python's `quote_plus`. */
function quoted(text: string): string {
  return encodeURIComponent(text)
    .replaceAll("%20", "+")
    .replace(/[!'()*~]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
}
