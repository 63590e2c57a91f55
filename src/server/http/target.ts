import type { Middleware } from "koa";
import { RegistryError } from "../errors.ts";

/**
 * Reduces the request target to a path with a query (RFC 9112, 3.2): the absolute form, as clients send it to
 * proxies, loses its origin; several slashes at the start are one, as the original server had it. Anything that is no
 * path then is BAD_REQUEST.
 */
export const requestTarget: Middleware = async (ctx, next) => {
  const withoutOrigin = ctx.url.replace(/^https?:\/\/[^/?#]*/i, "");
  const target = /^(?:\?|$)/.test(withoutOrigin) ? `/${withoutOrigin}` : withoutOrigin.replace(/^\/+/, "/");
  if (!target.startsWith("/")) throw new RegistryError("BAD_REQUEST", { detail: "the request target is no path" });
  ctx.url = target;
  await next();
};
