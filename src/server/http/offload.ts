import type { Context } from "koa";

/** Who sends stored objects in our place. */
export interface Offload {
  /** The internal location of nginx that is the storage's folder. */
  readonly xAccelPrefix: string | undefined;
  readonly xSendfile: boolean;
  /** Whether clients are sent to the storage itself, where it can serve them. */
  readonly redirect: boolean;
}

/** An object of the storage that somebody else may be able to send. */
export interface Offloadable {
  readonly key: string;
  /** The file on this machine that holds the bytes, or undefined. */
  readonly localPath: string | undefined;
  readonly redirectUrl: () => Promise<URL | undefined>;
}

/** Answers with where the front end or the client finds the object; answers false when we have to send it ourselves. */
export async function handedOver(ctx: Context, object: Offloadable, offload: Offload): Promise<boolean> {
  const { key, localPath } = object;
  if (offload.xAccelPrefix !== undefined && localPath !== undefined) {
    handOver(ctx, "X-Accel-Redirect", `${offload.xAccelPrefix.replace(/\/+$/, "")}/${key}`);
    return true;
  }
  if (offload.xSendfile && localPath !== undefined) {
    handOver(ctx, "X-Sendfile", localPath);
    return true;
  }
  // A signed URL is for GET alone.
  const url = offload.redirect && ctx.method !== "HEAD" ? await object.redirectUrl() : undefined;
  if (url) redirect(ctx, url);
  return url !== undefined;
}

function handOver(ctx: Context, header: string, place: string): void {
  ctx.body = "";
  ctx.set({ "Content-Type": "application/octet-stream", [header]: place });
}

/** The URL dies soon, so this answer must not be kept like the object itself. */
function redirect(ctx: Context, url: URL): void {
  ctx.redirect(url.href);
  ctx.set({ "Cache-Control": "no-cache", Expires: "-1" });
}
