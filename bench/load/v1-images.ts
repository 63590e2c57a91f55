import { createHash, randomBytes } from "node:crypto";
import { tarEnd, tarHeader } from "../tar-header.ts";
import { BlobSeries } from "./blob-series.ts";
import { requestHead, withConnections } from "./connection.ts";
import type { Moved } from "./downloads.ts";
import { expectStatus, withBody } from "./uploads.ts";

/** Pushes a new image through V1: its JSON, its layer (a tar with one file of `size` bytes), its checksum. */
export async function pushV1Image(job: {
  readonly url: string;
  readonly size: number;
}): Promise<Moved & { readonly id: string; readonly length: number; readonly digest: string }> {
  const url = new URL(job.url);
  const id = randomBytes(32).toString("hex");
  const json = JSON.stringify({ id, created: "2014-01-01T00:00:00Z", comment: "measured" });
  const content = new BlobSeries(job.size).next();
  const layer = [tarHeader("file", job.size), ...content.chunks(), tarEnd(job.size)];
  const length = layer.reduce((sum, chunk) => sum + chunk.length, 0);
  const payload = createHash("sha256").update(json).update("\n");
  const hash = createHash("sha256");
  for (const chunk of layer) {
    payload.update(chunk);
    hash.update(chunk);
  }
  const checksum = { "X-Docker-Checksum-Payload": `sha256:${payload.digest("hex")}` };
  const put = (document: string, headers: Readonly<Record<string, string | number>>): string =>
    requestHead(url, "PUT", `/v1/images/${id}/${document}`, headers);
  const [seconds = 0] = await withConnections(url, { count: 1 }, async (connection) => {
    const start = performance.now();
    const jsonHead = put("json", { "Content-Type": "application/json", "Content-Length": json.length });
    expectStatus(await connection.exchange(jsonHead + json), 200, "PUT of an image's JSON");
    const layerHead = put("layer", { "Content-Type": "application/octet-stream", "Content-Length": length });
    expectStatus(await withBody(connection, layerHead, layer), 200, "PUT of a layer");
    const end = put("checksum", { ...checksum, "Content-Length": 0 });
    expectStatus(await connection.exchange(end), 200, "PUT of a checksum");
    return (performance.now() - start) / 1000;
  });
  return { bytes: length, seconds, id, length, digest: `sha256:${hash.digest("hex")}` };
}
