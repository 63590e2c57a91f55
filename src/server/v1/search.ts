import type Router from "@koa/router";
import { RegistryError } from "../errors.ts";
import { answer } from "./answer.ts";
import { allowAnyOrigin } from "./repositories.ts";
import type { V1Parts } from "./parts.ts";

const largestPage = 100;

/** `docker search`, of every version of docker: docker 1.3 to 29, podman, and the search field of old user interfaces. */
export function searchRoutes(router: Router, { search, options }: V1Parts): void {
  router.get("/v1/search", async (ctx) => {
    const parameters = new URLSearchParams(ctx.querystring);
    const text = parameters.get("q") ?? "";
    const pageSize = Math.min(positive(parameters, "n", largestPage), largestPage);
    const found = await search.search({ text, page: positive(parameters, "page", 1), pageSize });
    if (options.fixedCors) allowAnyOrigin(ctx);
    answer(ctx, {
      num_pages: Math.ceil(found.total / found.pageSize),
      num_results: found.total,
      page: found.page,
      page_size: found.pageSize,
      query: text,
      results: found.results.map(({ name, description }) => ({
        description,
        is_automated: false,
        is_official: false,
        name,
        star_count: 0,
      })),
    });
  });
}

function positive(parameters: URLSearchParams, name: string, otherwise: number): number {
  const text = parameters.get(name);
  if (text === null || text === "") return otherwise;
  if (/^0*[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new RegistryError("DATA_INVALID", { message: `The parameter ${name} must be a number from 1` });
}
