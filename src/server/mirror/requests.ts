import type { Context, Middleware } from "koa";
import { RegistryError } from "../errors.ts";
import { queryOf } from "../http/query.ts";
import { isOciName } from "../registry/oci-names.ts";
import { UpstreamFailure } from "./failure.ts";
import type { Upstreams } from "./upstreams.ts";

const path = /^\/v2\/(.+)\/(manifests\/[^/]+|blobs\/.+|tags\/list|referrers\/[^/]+)$/;
const v1Path = /^\/v1\/repositories\/([^/]+(?:\/[^/]+)?)\/(images|tags(?:\/[^/]+)?|properties|)$/;
const reads: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/**
 * What mirrors do with requests: one of containerd, which asks for a repository of another host (`?ns=`), becomes one for
 * what that is called here; pushes are refused where the configuration wants it; and who has to come again is told when.
 */
export function requests(upstreams: Upstreams): Middleware {
  return async (ctx, next) => {
    rename(ctx, upstreams);
    if (!reads.includes(ctx.method)) requirePushable(ctx.path, upstreams);
    try {
      await next();
    } catch (error) {
      const after =
        error instanceof RegistryError && error.cause instanceof UpstreamFailure ? error.cause.retryAfter : undefined;
      if (after !== undefined) ctx.set("Retry-After", String(after));
      throw error;
    }
  };
}

/** Nobody is given another registry's repository of the same name. */
function rename(ctx: Context, upstreams: Upstreams): void {
  const host = queryOf(ctx).get("ns");
  const [, name, rest] = (host === null ? undefined : path.exec(ctx.path)) ?? [];
  if (host === null || name === undefined || rest === undefined) return;
  const local = upstreams.localName(name, host);
  if (local === undefined) throw new RegistryError("NAME_UNKNOWN", { detail: `${host} is not mirrored here` });
  ctx.path = `/v2/${local}/${rest}`;
}

function requirePushable(requestPath: string, upstreams: Upstreams): void {
  const [, ofV2] = path.exec(requestPath) ?? [];
  const [, ofV1] = v1Path.exec(requestPath) ?? [];
  const name = ofV2 ?? ofV1;
  if (name === undefined || !isOciName(name)) return;
  if (upstreams.owner(name)?.push === false) {
    throw new RegistryError("METHOD_NOT_ALLOWED", { detail: "this repository is a mirror that can't be pushed to" });
  }
}
