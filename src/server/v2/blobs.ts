import type Router from "@koa/router";
import type { Doorkeeper } from "../access/doorkeeper.ts";
import { matchesEtag } from "../http/conditional.ts";
import { handedOver, type Offload } from "../http/offload.ts";
import { sendRanges } from "../http/send.ts";
import { parseDigest } from "../registry/digest.ts";
import type { BlobStore } from "../registry/linked-blobs.ts";
import { forRepository } from "./guards.ts";
import type { HotAnswers } from "./hot.ts";

/** What blobs are served from. */
export interface BlobParts {
  readonly doorkeeper: Doorkeeper;
  readonly linkedBlobs: BlobStore;
  /** Who sends blobs in our place. */
  readonly offload: Offload;
  /** Seconds that a client may take nothing before it is cut off; 0 is for ever. */
  readonly idleTimeout: number;
  readonly hot: Pick<HotAnswers, "keep">;
}

/** Blobs are what their digest says for ever; caches that several users share must not keep what one was allowed. */
const forEver = "max-age=31536000, immutable";

/** Reading and deleting blobs (OCI distribution 1.1, end-2 and end-10). */
export function blobRoutes(router: Router, { doorkeeper, linkedBlobs, offload, idleTimeout, hot }: BlobParts): void {
  const path = "/v2/*name/blobs/:digest";

  const read = forRepository(doorkeeper, "pull", async (ctx, name) => {
    const digest = parseDigest(ctx.params["digest"] ?? "");
    await hot.keep(ctx, name, async (watch) => {
      const blob = await linkedBlobs.find(name, digest, watch, ctx.method === "HEAD" ? "stat" : "content");
      const etag = `"${digest}"`;
      const headers = { "Docker-Content-Digest": digest, ETag: etag, "Cache-Control": forEver };
      ctx.set(headers);
      if (matchesEtag(ctx.get("If-None-Match"), etag)) {
        ctx.status = 304;
      } else if (ctx.method === "HEAD" || !(await handedOver(ctx, blob, offload))) {
        const { size, open, localPath } = blob;
        await sendRanges(ctx, { size, open, localPath, headers, idleTimeout });
      }
      return undefined;
    });
  });

  const remove = forRepository(doorkeeper, "delete", async (ctx, name) => {
    await linkedBlobs.unlink(name, parseDigest(ctx.params["digest"] ?? ""));
    ctx.status = 202;
    ctx.body = "";
  });

  router.get(path, read);
  router.delete(path, remove);
}
