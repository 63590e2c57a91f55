import type { Context } from "koa";

/** The parameters of a request. Koa's own `ctx.URL` has none when `Host` is no host, which is anyone's to send. */
export function queryOf({ querystring }: Pick<Context, "querystring">): URLSearchParams {
  return new URLSearchParams(querystring);
}
