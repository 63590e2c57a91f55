import Router from "@koa/router";
import type { Context, Middleware } from "koa";
import { RegistryError } from "../errors.ts";
import type { Failure, Rendered } from "../http/errors.ts";
import { pythonJson } from "../registry/python-json.ts";
import { imageRoutes } from "./images.ts";
import type { V1Options, V1Parts } from "./parts.ts";
import { pingRoutes } from "./ping.ts";
import { indexRoutes, repositoryRoutes, slashlessRoutes } from "./repositories.ts";
import { searchRoutes } from "./search.ts";
import { tagRoutes } from "./tags.ts";
import { userRoutes } from "./users.ts";

/** The routes of V1. */
export function v1Router(parts: V1Parts): Router {
  const router = new Router({ strict: true, sensitive: true });
  pingRoutes(router, parts);
  imageRoutes(router, parts);
  searchRoutes(router, parts);
  if (parts.options.standalone) userRoutes(router, parts);
  tagRoutes(router, parts);
  repositoryRoutes(router, parts);
  if (parts.options.standalone) indexRoutes(router, parts);
  slashlessRoutes(router, parts);
  return router;
}

/** The Docker Registry V1 protocol. Requests for other paths pass on; wrong methods are refused with `Allow`. */
export function v1(parts: V1Parts): Middleware {
  const router = v1Router(parts);
  const routes = router.routes();
  const allowedMethods = router.allowedMethods();
  return async (ctx, next) => {
    requireDecodable(ctx.path);
    await routes(ctx as never, async () => {
      await allowedMethods(ctx as never, next);
    });
  };
}

function requireDecodable(path: string): void {
  try {
    decodeURIComponent(path);
  } catch {
    throw new RegistryError("NAME_INVALID", { message: "The URL is not percent-encoded UTF-8" });
  }
}

/** The headers that every answer has, failures too: docker up to 0.10 takes nothing for a registry without them. */
export function v1Headers({ version, flavor }: Pick<V1Options, "version" | "flavor">): Middleware {
  const headerText = flavor.replace(/[^\x20-\x7e]+/g, encodeURIComponent);
  return async (ctx, next) => {
    ctx.set({ "X-Docker-Registry-Version": version, "X-Docker-Registry-Config": headerText });
    await next();
  };
}

/** Failures as V1 clients read them. */
export function renderV1(failure: Failure, { response }: Pick<Context, "response">): Rendered {
  return {
    type: "application/json",
    body: pythonJson({ error: failure.message }),
    headers: {
      "Cache-Control": "no-cache",
      Expires: "-1",
      Pragma: "no-cache",
      ...(failure.status === 401 && !response.get("WWW-Authenticate") && { "WWW-Authenticate": "Token" }),
    },
  };
}
