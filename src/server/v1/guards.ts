import type { Context } from "koa";
import type { V1Access } from "../access/v1-access.ts";
import { parseImageId, parseRepositoryName, type ImageId, type RepositoryName } from "../registry/names.ts";

/** A Koa context with the parameters of its route. */
export type RouteContext = Context & { readonly params: Readonly<Record<string, string>> };

/** The parameter of the route; "" when it has none of that name. */
export function parameter(ctx: RouteContext, name: string): string {
  return ctx.params[name] ?? "";
}

/** Routes about a repository: the request must be allowed for the very repository that it names. */
export function forRepository(
  access: V1Access,
  handler: (ctx: RouteContext, repository: RepositoryName) => Promise<void>,
): (ctx: RouteContext) => Promise<void> {
  return async (ctx) => {
    const repository = parseRepositoryName(parameter(ctx, "repo"));
    await access.authorize(ctx, repository, ctx.params["tag"]);
    await handler(ctx, repository);
  };
}

/** Routes about an image: the request must be allowed for some repository, and for the image. */
export function forImage(
  access: V1Access,
  handler: (ctx: RouteContext, id: ImageId) => Promise<void>,
): (ctx: RouteContext) => Promise<void> {
  return async (ctx) => {
    await access.authorize(ctx);
    const id = parseImageId(parameter(ctx, "id"));
    await access.authorizeImage(ctx, id);
    await handler(ctx, id);
  };
}
