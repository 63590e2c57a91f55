import { createHash } from "node:crypto";
import { BlobSeries } from "./blob-series.ts";
import { requestHead, withConnections, type Connection } from "./connection.ts";
import { expectStatus, push } from "./uploads.ts";

/** What was done so many times, in so many seconds. */
export interface Counted {
  readonly count: number;
  readonly seconds: number;
}

/** The media type that pushed manifests have. */
export const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** What clients say that they take; without it docker-registry answers 404. */
export const accepting: Readonly<Record<string, string>> = { Accept: manifestType };

/** Pushes new blobs of one size, several at a time, each with POST and PUT. The last one's digest is for checks. */
export async function pushBlobs(job: {
  readonly url: string;
  readonly repository: string;
  readonly count: number;
  readonly size: number;
  readonly connections: number;
}): Promise<Counted & { readonly digest: string }> {
  const series = new BlobSeries(job.size);
  const blobs = Array.from({ length: job.count }, () => series.next());
  const url = new URL(job.url);
  const seconds = await inTurns(url, blobs, job.connections, async (connection, blob) => {
    await push(connection, url, { repository: job.repository, form: "monolithic", blob });
  });
  return { count: job.count, seconds, digest: blobs.at(-1)?.digest ?? "" };
}

/** A manifest to be put somewhere. */
export interface ManifestPut {
  readonly repository: string;
  readonly reference: string;
  readonly body: string;
}

/** Puts manifests, several at a time; all that they refer to must be there. */
export async function putManifests(job: {
  readonly url: string;
  readonly manifests: readonly ManifestPut[];
  readonly connections: number;
}): Promise<Counted> {
  const url = new URL(job.url);
  const seconds = await inTurns(url, job.manifests, job.connections, async (connection, manifest) => {
    const { repository, reference, body } = manifest;
    const headers = { "Content-Type": manifestType, "Content-Length": Buffer.byteLength(body) };
    const head = requestHead(url, "PUT", `/v2/${repository}/manifests/${reference}`, headers);
    expectStatus(await connection.exchange(head + body), 201, `PUT of manifest ${repository}:${reference}`);
  });
  return { count: job.manifests.length, seconds };
}

/** Mounts a blob of one repository into others, several at a time. */
export async function mountBlob(job: {
  readonly url: string;
  readonly from: string;
  readonly digest: string;
  readonly repositories: readonly string[];
  readonly connections: number;
}): Promise<void> {
  const url = new URL(job.url);
  await inTurns(url, job.repositories, job.connections, async (connection, repository) => {
    const query = `mount=${encodeURIComponent(job.digest)}&from=${encodeURIComponent(job.from)}`;
    const head = requestHead(url, "POST", `/v2/${repository}/blobs/uploads/?${query}`, { "Content-Length": 0 });
    expectStatus(await connection.exchange(head), 201, `Mount into ${repository}`);
  });
}

/** A manifest of about 2 KB over one blob, which is its config and its layers; `note` makes it another one. */
export function manifestOver(blob: { readonly digest: string; readonly size: number }, note: string): string {
  const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", ...blob };
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...blob },
    layers: Array.from({ length: 10 }, () => layer),
    annotations: { "org.opencontainers.image.title": note },
  });
}

/** The digest of a manifest. */
export function digestOf(body: string): string {
  return `sha256:${createHash("sha256").update(body).digest("hex")}`;
}

/** Each connection takes the next item when it is done with one; answers the seconds that it took. */
async function inTurns<T>(
  url: URL,
  items: readonly T[],
  connections: number,
  work: (connection: Connection, item: T) => Promise<void>,
): Promise<number> {
  const queue = items.values();
  let start = Infinity;
  await withConnections(url, { count: Math.min(connections, items.length) }, async (connection) => {
    start = Math.min(start, performance.now());
    for (const item of queue) await work(connection, item);
  });
  return (performance.now() - start) / 1000;
}
