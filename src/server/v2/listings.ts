import type Router from "@koa/router";
import type { Caller } from "../access/caller.ts";
import { page, pageQuery } from "../http/page.ts";
import type { OciName } from "../registry/oci-names.ts";
import { answerJson } from "./answer.ts";
import { forRepository } from "./guards.ts";
import type { V2Parts } from "./parts.ts";

/** Clients that name no `n` get everything, as docker and skopeo expect, up to this many. */
const mostTags = 100_000;
const largestCatalogPage = 1000;

/** The tags of a repository (OCI distribution 1.1, end-8) and the repositories of the registry (docker's `_catalog`). */
export function listingRoutes(router: Router, { doorkeeper, ociTags, catalog, hot }: V2Parts): void {
  router.get("/v2/_catalog", async (ctx) => {
    const caller = await doorkeeper.admit(ctx, { action: "list" });
    const query = pageQuery(ctx, largestCatalogPage);
    await hot.keep(ctx, caller.seesAll ? "everything" : undefined, async (watch) => {
      const all = catalog.list(query.last, watch);
      const names = caller.seesAll ? all : seenBy(caller, all);
      return answerJson(ctx, { repositories: await page(ctx, names, query, (last) => ({ last })) });
    });
  });

  const listTags = forRepository(doorkeeper, "pull", async (ctx, name) => {
    await hot.keep(ctx, name, async (watch) => {
      await ociTags.requireRepository(name, watch, (warning) => {
        ctx.set("Warning", warning);
      });
      const query = pageQuery(ctx, mostTags);
      const tags = ociTags.list(name, query.last, watch);
      return answerJson(ctx, { name, tags: await page(ctx, tags, query, (last) => ({ last })) });
    });
  });
  router.get("/v2/*name/tags/list", listTags);
}

/** Pages are full as long as there is more: what is not shown is left out before they are cut. */
async function* seenBy(caller: Caller, names: AsyncIterable<OciName>): AsyncGenerator<OciName> {
  for await (const name of names) if (caller.sees(name)) yield name;
}
