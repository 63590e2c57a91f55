import type { Middleware } from "koa";

/**
 * What browsers are told of every answer: to take it for nothing but what it says it is, and to run nothing in it. Content
 * is whatever somebody has pushed.
 */
export const securityHeaders: Middleware = async (ctx, next) => {
  ctx.set({ "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox" });
  await next();
};
