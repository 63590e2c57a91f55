import type { Context } from "koa";
import type { Action, Caller, RepositoryWanted } from "../access/caller.ts";
import type { Doorkeeper } from "../access/doorkeeper.ts";
import { parseOciName, type OciName } from "../registry/oci-names.ts";

/** A Koa context with the parameters of its route. */
export type RouteContext = Context & { readonly params: Readonly<Record<string, string>> };

type Handler = (ctx: RouteContext, name: OciName, caller: Caller) => Promise<void>;

/** Routes about a repository: the handler is called for whoever may do `action` to it, and told who that is. */
export function forRepository(
  doorkeeper: Doorkeeper,
  action: Action,
  handler: Handler,
  more: (ctx: RouteContext) => Pick<RepositoryWanted, "from"> = () => ({}),
): (ctx: RouteContext) => Promise<void> {
  return async (ctx) => {
    const name = parseOciName(ctx.params["name"] ?? "");
    const { reference = ctx.params["digest"] } = ctx.params;
    const caller = await doorkeeper.admit(ctx, { action, repository: name, reference, ...more(ctx) });
    await handler(ctx, name, caller);
  };
}
