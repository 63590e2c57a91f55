import type Router from "@koa/router";
import type { SearchEntry, SearchIndex, SearchPage, SearchQuery } from "../../drivers/search/search-index.ts";
import type { Caller } from "../access/caller.ts";
import { RegistryError } from "../errors.ts";
import { queryOf } from "../http/query.ts";
import { answer } from "./answer.ts";
import { allowAnyOrigin } from "./repositories.ts";
import type { V1Parts } from "./parts.ts";

const largestPage = 100;

/** `docker search`, of every version of docker: docker 1.3 to 29, podman, and the search field of old user interfaces. */
export function searchRoutes(router: Router, { access, search, options }: V1Parts): void {
  router.get("/v1/search", async (ctx) => {
    const caller = await access.lister(ctx);
    const parameters = queryOf(ctx);
    const text = parameters.get("q") ?? "";
    const pageSize = Math.min(positive(parameters, "n", largestPage), largestPage);
    const query = { text, page: positive(parameters, "page", 1), pageSize };
    const found = caller.seesAll ? await search.search(query) : await searchFor(caller, search, query);
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

/** So many matches are looked through for somebody who may not see them all. */
const mostLookedThrough = 20_000;
const atOnce = 500;

/** Pages, and how many there are, of what the caller may see among the best matches. */
async function searchFor(
  caller: Pick<Caller, "sees">,
  search: SearchIndex,
  { text, page, pageSize }: SearchQuery,
): Promise<SearchPage> {
  const seen: SearchEntry[] = [];
  for (let at = 1; at <= mostLookedThrough / atOnce; at++) {
    const { results, pageSize: size } = await search.search({ text, page: at, pageSize: atOnce });
    seen.push(...results.filter(({ name }) => caller.sees(name)));
    if (results.length < size) break;
  }
  const start = (page - 1) * pageSize;
  return { total: seen.length, page, pageSize, results: seen.slice(start, start + pageSize) };
}

function positive(parameters: URLSearchParams, name: string, otherwise: number): number {
  const text = parameters.get(name);
  if (text === null || text === "") return otherwise;
  if (/^0*[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new RegistryError("DATA_INVALID", { message: `The parameter ${name} must be a number from 1` });
}
