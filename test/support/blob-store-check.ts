import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { expect } from "chai";

/**
 * Looks at every file of a store: content is what its digest says, links lead to content, a tag names a manifest that its
 * repository has. Answers how many blobs and links there are.
 */
export async function checkStore(store: string): Promise<{ readonly blobs: number; readonly links: number }> {
  const root = join(store, "docker/registry/v2");
  const counts = { blobs: 0, links: 0 };
  for (const file of await filesBelow(join(root, "blobs"))) {
    const [, algorithm = "", start, hex = ""] =
      /^(\w+)\/(\w\w)\/(\w+)\/data$/.exec(relative(join(root, "blobs"), file)) ?? [];
    const hash = createHash(algorithm);
    for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
    expect(hash.digest("hex"), file).to.equal(hex);
    expect(hex.slice(0, 2), file).to.equal(start);
    counts.blobs += 1;
  }
  for (const file of await filesBelow(join(root, "repositories"))) {
    const [, repository = "", place = ""] = /^(.*?)\/(_layers|_manifests)\/.*link$/.exec(file) ?? [];
    const [algorithm = "", hex = ""] = (await readFile(file, "utf8")).split(":");
    expect((await stat(join(root, "blobs", algorithm, hex.slice(0, 2), hex, "data"))).isFile(), file).to.equal(true);
    if (place === "_manifests") await stat(join(repository, "_manifests/revisions", algorithm, hex, "link"));
    counts.links += 1;
  }
  return counts;
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
