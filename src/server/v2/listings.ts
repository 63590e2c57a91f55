import type Router from "@koa/router";
import { page, pageQuery } from "../http/page.ts";
import { parseOciName } from "../registry/oci-names.ts";
import { answerJson } from "./answer.ts";
import type { V2Parts } from "./parts.ts";

/** Clients that name no `n` get everything, as docker and skopeo expect, up to this many. */
const mostTags = 100_000;
const largestCatalogPage = 1000;

/** The tags of a repository (OCI distribution 1.1, end-8) and the repositories of the registry (docker's `_catalog`). */
export function listingRoutes(router: Router, { ociTags, catalog, hot }: V2Parts): void {
  router.get("/v2/_catalog", async (ctx) => {
    const query = pageQuery(ctx, largestCatalogPage);
    await hot.keep(ctx, async (watch) => {
      const names = catalog.list(query.last, watch);
      return answerJson(ctx, { repositories: await page(ctx, names, query, (last) => ({ last })) });
    });
  });

  router.get("/v2/*name/tags/list", async (ctx) => {
    const name = parseOciName(ctx.params["name"] ?? "");
    await hot.keep(ctx, async (watch) => {
      await ociTags.requireRepository(name, watch, (warning) => {
        ctx.set("Warning", warning);
      });
      const query = pageQuery(ctx, mostTags);
      const tags = ociTags.list(name, query.last, watch);
      return answerJson(ctx, { name, tags: await page(ctx, tags, query, (last) => ({ last })) });
    });
  });
}
