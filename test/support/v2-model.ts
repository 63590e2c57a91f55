import { expect } from "chai";
import { digestOf, imageType, indexType } from "./oci-image.ts";
import type { Answer, V1Client } from "./v1-client.ts";

export const schema2Type = "application/vnd.docker.distribution.manifest.v2+json";
export const listType = "application/vnd.docker.distribution.manifest.list.v2+json";

/** What today's clients say they take. */
export const accepted = { Accept: [imageType, indexType, schema2Type, listType, "*/*"].join(", ") };

/** A manifest as a repository should have it. */
export interface ModelManifest {
  readonly bytes: Buffer;
  readonly type: string;
}

/** What a repository should hold, by digest and by tag. */
export interface ModelRepository {
  readonly tags: Map<string, string>;
  readonly manifests: Map<string, ModelManifest>;
  readonly blobs: Map<string, Buffer>;
  /** Tags, manifests and blobs that were deleted. */
  readonly gone: { readonly tags: Set<string>; readonly manifests: Set<string>; readonly blobs: Set<string> };
}

/** What a store should hold: says what to expect of every registry that serves it. */
export class Model {
  readonly repositories = new Map<string, ModelRepository>();

  repository(name: string): ModelRepository {
    const found = this.repositories.get(name) ?? {
      tags: new Map(),
      manifests: new Map(),
      blobs: new Map(),
      gone: { tags: new Set(), manifests: new Set(), blobs: new Set() },
    };
    this.repositories.set(name, found);
    return found;
  }

  hasBlob(name: string, bytes: Buffer): string {
    const [repository, digest] = [this.repository(name), digestOf(bytes)];
    repository.blobs.set(digest, bytes);
    repository.gone.blobs.delete(digest);
    return digest;
  }

  lostBlob(name: string, digest: string): void {
    const repository = this.repository(name);
    repository.blobs.delete(digest);
    repository.gone.blobs.add(digest);
  }

  hasManifest(name: string, manifest: ModelManifest, tag?: string): string {
    const [repository, digest] = [this.repository(name), digestOf(manifest.bytes)];
    repository.manifests.set(digest, manifest);
    repository.gone.manifests.delete(digest);
    if (tag !== undefined) {
      repository.tags.set(tag, digest);
      repository.gone.tags.delete(tag);
    }
    return digest;
  }

  lostTag(name: string, tag: string): void {
    const repository = this.repository(name);
    repository.tags.delete(tag);
    repository.gone.tags.add(tag);
  }

  /** A manifest takes its tags with it. */
  lostManifest(name: string, digest: string): void {
    const repository = this.repository(name);
    repository.manifests.delete(digest);
    repository.gone.manifests.add(digest);
    for (const [tag, named] of repository.tags) if (named === digest) this.lostTag(name, tag);
  }

  /** Fails unless the registry lists and serves all of this, byte for byte, and nothing that is gone. */
  async expectServed(client: V1Client, who: string): Promise<void> {
    const named = [...this.repositories].filter(([, { blobs }]) => blobs.size > 0).map(([name]) => name);
    // docker-registry sorts `/` before all else.
    const listed = [...(await pages(client, "/v2/_catalog?n=7", "repositories"))];
    expect(listed.sort(), `${who}: catalog`).to.deep.equal(named.sort());
    for (const [name, repository] of this.repositories) await expectRepository(client, who, name, repository);
  }
}

async function expectRepository(client: V1Client, who: string, name: string, model: ModelRepository): Promise<void> {
  const where = (what: string) => `${who}: ${what} of ${name}`;
  const listed = await client.send("GET", `/v2/${name}/tags/list`, { headers: accepted });
  const { tags } = JSON.parse(listed.body.toString()) as { readonly tags?: readonly string[] | null };
  expect([...(tags ?? [])].sort(), where("tags")).to.deep.equal([...model.tags.keys()].sort());
  for (const [tag, digest] of model.tags) {
    const answer = await client.send("GET", `/v2/${name}/manifests/${tag}`, { headers: accepted });
    expectManifest(answer, digest, model.manifests.get(digest), where(`tag ${tag}`));
  }
  for (const [digest, manifest] of model.manifests) {
    const answer = await client.send("GET", `/v2/${name}/manifests/${digest}`, { headers: accepted });
    expectManifest(answer, digest, manifest, where(digest));
    const head = await client.expect([200], "HEAD", `/v2/${name}/manifests/${digest}`, { headers: accepted });
    expect(head.headers["content-length"], where(digest)).to.equal(String(manifest.bytes.length));
  }
  for (const [digest, bytes] of model.blobs) {
    const answer = await client.expect([200], "GET", `/v2/${name}/blobs/${digest}`);
    expect(answer.body.equals(bytes), where(digest)).to.equal(true);
    expect(answer.headers["docker-content-digest"], where(digest)).to.equal(digest);
    const part = await client.expect([206], "GET", `/v2/${name}/blobs/${digest}`, { headers: { Range: "bytes=1-" } });
    expect(part.body.equals(bytes.subarray(1)), where(`part of ${digest}`)).to.equal(true);
  }
  for (const reference of [...model.gone.tags, ...model.gone.manifests]) {
    await client.expect([404], "GET", `/v2/${name}/manifests/${reference}`, { headers: accepted });
  }
  for (const digest of model.gone.blobs) await client.expect([404], "GET", `/v2/${name}/blobs/${digest}`);
}

function expectManifest(answer: Answer, digest: string, manifest: ModelManifest | undefined, what: string): void {
  expect(answer.status, what).to.equal(200);
  expect(answer.body.toString(), what).to.equal(manifest?.bytes.toString());
  expect(answer.headers["docker-content-digest"], what).to.equal(digest);
  expect(answer.headers["content-type"], what).to.equal(manifest?.type);
}

/** All items of a listing, page by page. */
export async function pages(
  client: V1Client,
  path: string,
  field: "tags" | "repositories",
): Promise<readonly string[]> {
  const items: string[] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const answer: Answer = await client.expect([200], "GET", next);
    const list = (JSON.parse(answer.body.toString()) as Record<string, readonly string[] | null>)[field];
    items.push(...(list ?? []));
    next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers["link"]))?.[1];
  }
  return items;
}
