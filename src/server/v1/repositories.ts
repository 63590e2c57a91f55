import type Router from "@koa/router";
import type { Context } from "koa";
import type { V1Access, V1TokenAccess } from "../access/v1-access.ts";
import { RegistryError } from "../errors.ts";
import { isObject } from "../registry/documents.ts";
import { repositoryText, type RepositoryName } from "../registry/names.ts";
import { answer, answerDocument, jsonBody } from "./answer.ts";
import { forRepository } from "./guards.ts";
import type { V1Options, V1Parts } from "./parts.ts";
import { movedToSlash } from "./users.ts";

/** The index's side of a repository: the list of its images. Only a standalone registry is its own index. */
export function indexRoutes(router: Router, { access, repositories, options }: V1Parts): void {
  const putImages = (status: 200 | 204) =>
    forRepository(access, async (ctx, repository) => {
      const { bytes, value } = await jsonBody(ctx, options);
      if (!Array.isArray(value)) throw new RegistryError("DATA_INVALID");
      await repositories.putIndexImages(repository, bytes, value);
      await giveToken(ctx, { access, options }, repository, "write");
      answer(ctx, "", status);
    });

  router.get(
    "/v1/repositories/*repo/images",
    forRepository(access, async (ctx, repository) => {
      const images = await repositories.indexImages(repository);
      await giveToken(ctx, { access, options }, repository, "read");
      if (options.fixedCors) allowAnyOrigin(ctx);
      answerDocument(ctx, images);
    }),
  );
  router.put("/v1/repositories/*repo/images", putImages(204));
  router.delete(
    "/v1/repositories/*repo/images",
    forRepository(access, async (ctx, repository) => {
      await giveToken(ctx, { access, options }, repository, "delete");
      answer(ctx, "", 204);
    }),
  );
  router.put(
    "/v1/repositories/*repo/auth",
    forRepository(access, async (ctx) => {
      answer(ctx, "OK");
      await Promise.resolve();
    }),
  );
  router.put("/v1/repositories/*repo/", putImages(200));
}

/** The registry's side of a repository: who may see it, and its end. */
export function repositoryRoutes(router: Router, { access, repositories, options }: V1Parts): void {
  router.get(
    "/v1/repositories/*repo/properties",
    forRepository(access, async (ctx, repository) => {
      answer(ctx, { access: await repositories.visibility(repository) });
    }),
  );
  router.put(
    "/v1/repositories/*repo/properties",
    forRepository(access, async (ctx, repository) => {
      const { value } = await jsonBody(ctx, options, "DATA_INVALID");
      const visibility = isObject(value) ? value["access"] : undefined;
      if (visibility === undefined) throw new RegistryError("DATA_INVALID");
      if (visibility === "public" || visibility === "private") await repositories.setVisibility(repository, visibility);
      answer(ctx, true);
    }),
  );
  router.delete(
    ["/v1/repositories/*repo/tags", "/v1/repositories/*repo/"],
    forRepository(access, async (ctx, repository) => {
      await repositories.delete(repository);
      answer(ctx, true);
    }),
  );
}

/** Repositories without their final slash. Comes after all routes that say more. */
export function slashlessRoutes(router: Router, { options }: V1Parts): void {
  router.register("/v1/repositories/*repo", options.standalone ? ["PUT", "DELETE"] : ["DELETE"], (ctx: Context) => {
    movedToSlash(ctx);
  });
}

/** The headers that 0.7 sent so that a page of any origin could show what a registry holds. */
export function allowAnyOrigin(ctx: Context): void {
  ctx.set({ "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET" });
}

/** Docker refuses to go on without a token and the registries to use it at, also where nobody asks for one. */
async function giveToken(
  ctx: Context,
  { access, options }: { readonly access: V1Access; readonly options: V1Options },
  repository: RepositoryName,
  use: V1TokenAccess,
): Promise<void> {
  const signature = await access.sign(ctx, repository, use);
  const token = `Token signature=${signature},repository="${repositoryText(repository)}",access=${use}`;
  ctx.set({
    "X-Docker-Token": token,
    "WWW-Authenticate": token,
    "X-Docker-Endpoints": options.endpoints ?? (ctx.get("Host") || localHost(ctx)),
  });
}

/** Where a client that names no host, as HTTP/1.0 allows, has reached us. */
function localHost({ socket: { localAddress = "localhost", localPort = 5000 } }: Context): string {
  return localAddress.includes(":") ? `[${localAddress}]:${localPort}` : `${localAddress}:${localPort}`;
}
