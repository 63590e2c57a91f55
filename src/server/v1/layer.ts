import type { Context } from "koa";
import { sendObject } from "../http/send.ts";
import type { Layer } from "../registry/images.ts";
import type { V1Options } from "./parts.ts";

/** Answers with a layer, or with where the front end or the client finds it. The caller has set cache headers. */
export async function sendLayer(ctx: Context, layer: Layer, { offload, idleTimeout }: V1Options): Promise<void> {
  if (offload.xAccelPrefix !== undefined && layer.localPath !== undefined) {
    handOver(ctx, "X-Accel-Redirect", `${offload.xAccelPrefix.replace(/\/+$/, "")}/${layer.key}`);
  } else if (offload.xSendfile && layer.localPath !== undefined) {
    handOver(ctx, "X-Sendfile", layer.localPath);
  } else {
    const url = offload.redirect ? await layer.redirectUrl() : undefined;
    if (url) redirect(ctx, url);
    else await sendObject(ctx, { size: layer.size, open: layer.open, headers: revalidation, idleTimeout });
  }
}

/** What `If-Range` may hold against the cache headers of the answer. */
const revalidation = { "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT" };

function handOver(ctx: Context, header: string, place: string): void {
  ctx.body = "";
  ctx.set({ "Content-Type": "application/octet-stream", [header]: place });
}

/** The URL dies soon, so this answer must not be kept like the layer itself. */
function redirect(ctx: Context, url: URL): void {
  ctx.redirect(url.href);
  ctx.set({ "Cache-Control": "no-cache", Expires: "-1" });
}
