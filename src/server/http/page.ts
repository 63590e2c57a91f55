import type { Context } from "koa";
import { RegistryError } from "../errors.ts";
import { queryOf } from "./query.ts";

/** Which part of a sorted list a request asks for: at most `n` items, from the first beyond `last`. */
export interface PageQuery {
  readonly n: number;
  readonly last: string | undefined;
}

/** Reads `n` and `last` (OCI distribution 1.1, end-8). Without `n` it is `most`, and never more. Rejects with PAGINATION_INVALID. */
export function pageQuery(ctx: Pick<Context, "querystring">, most: number): PageQuery {
  const query = queryOf(ctx);
  const n = query.get("n");
  if (n !== null && !/^\d+$/.test(n)) {
    throw new RegistryError("PAGINATION_INVALID", { detail: "n is a number from 0" });
  }
  return { n: Math.min(n === null ? most : Number(n), most), last: query.get("last") ?? undefined };
}

/** How much a page may weigh; it ends before the item with which it would weigh more, but has one. */
export interface PageWeight<T> {
  readonly most: number;
  readonly of: (item: T) => number;
}

/** Takes a page of `items`, and tells the client by `Link` where the next one begins if there is more. */
export async function page<T>(
  ctx: Pick<Context, "set" | "path">,
  items: AsyncIterable<T>,
  { n }: PageQuery,
  nextQuery: (last: T) => Readonly<Record<string, string>>,
  weight?: PageWeight<T>,
): Promise<readonly T[]> {
  const taken: T[] = [];
  let weighed = 0;
  if (n === 0) return taken;
  for await (const item of items) {
    const last = taken.at(-1);
    weighed += weight?.of(item) ?? 0;
    if (last !== undefined && (taken.length === n || weighed > (weight?.most ?? Infinity))) {
      const query = new URLSearchParams({ ...nextQuery(last), n: String(n) });
      ctx.set("Link", `<${ctx.path}?${query.toString()}>; rel="next"`);
      break;
    }
    taken.push(item);
  }
  return taken;
}
