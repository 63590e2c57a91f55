import type { Context } from "koa";
import { handedOver } from "../http/offload.ts";
import { sendObject } from "../http/send.ts";
import type { Layer } from "../registry/images.ts";
import type { V1Options } from "./parts.ts";

/** Answers with a layer, or with where the front end or the client finds it. The caller has set cache headers. */
export async function sendLayer(ctx: Context, layer: Layer, { offload, idleTimeout }: V1Options): Promise<void> {
  if (await handedOver(ctx, layer, offload)) return;
  const { size, open, localPath } = layer;
  await sendObject(ctx, { size, open, localPath, headers: revalidation, idleTimeout });
}

/** What `If-Range` may hold against the cache headers of the answer. */
const revalidation = { "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT" };
