import Router from "@koa/router";
import type { Middleware } from "koa";
import { answerJson } from "./answer.ts";
import { blobRoutes } from "./blobs.ts";
import { listingRoutes } from "./listings.ts";
import { hotManifests, manifestRoutes } from "./manifests.ts";
import type { V2Parts } from "./parts.ts";
import { tokenRoutes } from "./token.ts";
import { uploadRoutes } from "./uploads.ts";

/** The routes of V2. */
export function v2Router(parts: V2Parts): Router {
  const router = new Router({ strict: true, sensitive: true });
  router.get(["/v2/", "/v2"], async (ctx) => {
    // Docker before 1.10 would not go on with V1 if it were asked for credentials here.
    if (!parts.v1UserAgents.test(ctx.get("User-Agent"))) await parts.doorkeeper.admit(ctx, { action: "login" });
    answerJson(ctx, {});
  });
  if (parts.tokens) tokenRoutes(router, { ...parts, ...parts.tokens });
  listingRoutes(router, parts);
  uploadRoutes(router, parts);
  blobRoutes(router, parts);
  manifestRoutes(router, parts);
  return router;
}

/** OCI Distribution 1.1, which is Docker's V2. Requests for other paths pass on. */
export function v2(parts: V2Parts): Middleware {
  const router = v2Router(parts);
  const hot = hotManifests(parts);
  const routes = router.routes();
  const allowedMethods = router.allowedMethods();
  return async (ctx, next) => {
    await hot(ctx, async () => {
      await routes(ctx as never, async () => {
        await allowedMethods(ctx as never, next);
      });
    });
  };
}

/**
 * The header by which clients know V2. Docker before 1.10 would then ask for manifests of schema 1, which it does not get;
 * without the header it goes on with V1.
 */
export function v2Headers({ v1UserAgents }: { readonly v1UserAgents: RegExp }): Middleware {
  return async (ctx, next) => {
    if (isV2Path(ctx.path) && !v1UserAgents.test(ctx.get("User-Agent"))) {
      ctx.set("Docker-Distribution-Api-Version", "registry/2.0");
    }
    await next();
  };
}

/** Whether the path belongs to V2, whose errors have another form. */
export function isV2Path(path: string): boolean {
  return path === "/v2" || path.startsWith("/v2/");
}
