import type Router from "@koa/router";
import { answer, jsonBody } from "./answer.ts";
import type { V1Parts } from "./parts.ts";

/** What `docker login` asks of an index. The standalone registry has no accounts: everybody is welcome. */
export function userRoutes(router: Router, { options }: V1Parts): void {
  router.get("/v1/users/", (ctx) => {
    answer(ctx, "OK");
  });

  router.post("/v1/users/", async (ctx) => {
    await jsonBody(ctx, options);
    answer(ctx, "User Created", 201);
  });

  router.put("/v1/users/:name/", (ctx) => {
    answer(ctx, "", 204);
  });

  router.all("/v1/users", (ctx) => {
    movedToSlash(ctx);
  });
  router.put("/v1/users/:name", (ctx) => {
    movedToSlash(ctx);
  });
}

/** Clients that leave out the final slash are sent to the right place, as the original did. */
export function movedToSlash(ctx: { status: number; path: string; redirect: (url: string) => void }): void {
  ctx.redirect(`${ctx.path}/`);
  ctx.status = 301;
}
