import type { Context } from "koa";
import type { Access } from "../access/v1-access.ts";
import type { SignedRequest } from "../access/signature.ts";
import { parseImageId, parseRepositoryName, type ImageId, type RepositoryName } from "../registry/names.ts";

/** A Koa context with the parameters of its route. */
export type RouteContext = Context & { readonly params: Readonly<Record<string, string>> };

/** What access control looks at. */
export function signedRequest(ctx: Context): SignedRequest {
  return { method: ctx.method, path: ctx.path, headers: ctx.headers };
}

/** The parameter of the route; "" when it has none of that name. */
export function parameter(ctx: RouteContext, name: string): string {
  return ctx.params[name] ?? "";
}

/** Routes about a repository: the request must be allowed for the very repository that it names. */
export function forRepository(
  access: Access,
  handler: (ctx: RouteContext, repository: RepositoryName) => Promise<void>,
): (ctx: RouteContext) => Promise<void> {
  return async (ctx) => {
    const repository = parseRepositoryName(parameter(ctx, "repo"));
    await access.authorize(signedRequest(ctx), repository);
    await handler(ctx, repository);
  };
}

/** Routes about an image: the request must carry a valid token of any repository. */
export function forImage(
  access: Access,
  handler: (ctx: RouteContext, id: ImageId) => Promise<void>,
): (ctx: RouteContext) => Promise<void> {
  return async (ctx) => {
    await access.authorize(signedRequest(ctx));
    await handler(ctx, parseImageId(parameter(ctx, "id")));
  };
}
