import Router from "@koa/router";
import Koa from "koa";
import type { StorageDriver } from "../../src/drivers/storage/driver.ts";
import { invalidWatch } from "../../src/drivers/storage/watches.ts";
import { openAccess } from "../../src/server/access/access.ts";
import { noAudit } from "../../src/server/access/audit.ts";
import { Doorkeeper } from "../../src/server/access/doorkeeper.ts";
import { errorHandling } from "../../src/server/http/errors.ts";
import { Blobs } from "../../src/server/registry/blobs.ts";
import { Documents } from "../../src/server/registry/documents.ts";
import { LinkedBlobs } from "../../src/server/registry/linked-blobs.ts";
import { Uploads, type UploadLimits } from "../../src/server/registry/uploads.ts";
import { listen } from "../../src/server/server.ts";
import { renderV2 } from "../../src/server/v2/answer.ts";
import { blobRoutes, type BlobParts } from "../../src/server/v2/blobs.ts";
import { uploadRoutes } from "../../src/server/v2/uploads.ts";
import { V1Client } from "./v1-client.ts";

/** The core of blobs and uploads over a store, as one process has it. */
export interface BlobCore {
  readonly blobs: Blobs;
  readonly linkedBlobs: LinkedBlobs;
  readonly uploads: Uploads;
}

/** A server of blobs and uploads alone, with the faults it met. */
export interface BlobServer {
  readonly url: string;
  readonly port: number;
  readonly client: V1Client;
  readonly core: BlobCore;
  readonly faults: Error[];
  close(): Promise<void>;
}

/** Puts the core together. */
export function blobCore(driver: StorageDriver, limits: Partial<UploadLimits> = {}): BlobCore {
  const documents = new Documents(driver);
  const blobs = new Blobs(driver);
  const linkedBlobs = new LinkedBlobs({ driver, documents, blobs });
  const all = { maxSize: 0, maxAge: 24, ...limits };
  return { blobs, linkedBlobs, uploads: new Uploads({ driver, documents, blobs, linkedBlobs, limits: all }) };
}

/** Serves blobs and uploads on a free port of 127.0.0.1. */
export async function blobServer(
  driver: StorageDriver,
  options: Partial<UploadLimits> &
    Partial<Pick<BlobParts, "offload" | "idleTimeout">> & { readonly base?: string } = {},
): Promise<BlobServer> {
  const faults: Error[] = [];
  const core = blobCore(driver, options);
  const parts = {
    ...core,
    offload: options.offload ?? { xAccelPrefix: undefined, xSendfile: false, redirect: false },
    idleTimeout: options.idleTimeout ?? 0,
    hot: withoutHotAnswers,
    doorkeeper: new Doorkeeper({ access: openAccess(), audit: noAudit }),
    location: (_ctx: unknown, path: string) => `${options.base ?? ""}${path}`,
  };
  const router = new Router({ strict: true, sensitive: true });
  uploadRoutes(router, parts);
  blobRoutes(router, parts);
  const app = new Koa();
  app.use(errorHandling({ render: renderV2, onFault: (error) => faults.push(error) }));
  app.use(router.routes() as never);
  const server = await listen(app.callback(), { host: "127.0.0.1", port: 0 });
  return {
    url: server.url,
    port: server.port ?? 0,
    client: new V1Client(server.url),
    core,
    faults,
    close: async () => {
      server.cut();
      await server.close(0);
    },
  };
}

/** Answers as they are, without keeping any. */
const withoutHotAnswers: BlobParts["hot"] = {
  keep: async (_ctx, _about, give) => {
    await give(invalidWatch);
  },
};

/** All that a stream yields. */
export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Bytes as a body that comes in parts. */
export async function* bodyOf(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(Buffer.from(part));
}

/** Every key of a store. */
export async function keysOf(driver: StorageDriver, prefix = ""): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of driver.list(prefix)) keys.push(key);
  return keys;
}
