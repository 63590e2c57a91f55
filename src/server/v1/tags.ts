import type Router from "@koa/router";
import { RegistryError } from "../errors.ts";
import { isImageId, parseTagName } from "../registry/names.ts";
import { pythonJson } from "../registry/python-json.ts";
import { answer, answerDocument, jsonBody } from "./answer.ts";
import { parseUserAgent } from "./client.ts";
import { forRepository, parameter } from "./guards.ts";
import type { V1Parts } from "./parts.ts";

/** What is answered where nobody wrote down who set a tag. */
const unknownSetter = {
  arch: "amd64",
  docker_go_version: null,
  docker_version: null,
  kernel: null,
  last_update: null,
  os: "linux",
};

/** The tags of a repository. */
export function tagRoutes(router: Router, { access, tags, options }: V1Parts): void {
  router.get(
    "/v1/repositories/*repo/tags/:tag/json",
    forRepository(access, async (ctx, repository) => {
      const tag = parseTagName(parameter(ctx, "tag"));
      answerDocument(ctx, (await tags.json(repository, tag)) ?? pythonJson(unknownSetter));
    }),
  );
  router.get(
    "/v1/repositories/*repo/tags/:tag",
    forRepository(access, async (ctx, repository) => {
      const image = await tags.image(repository, parseTagName(parameter(ctx, "tag")));
      await access.noteImages(ctx, [image], repository);
      answer(ctx, image);
    }),
  );
  router.put(
    "/v1/repositories/*repo/tags/:tag",
    forRepository(access, async (ctx, repository) => {
      const tag = parseTagName(parameter(ctx, "tag"));
      const { value } = await jsonBody(ctx, options, "DATA_INVALID");
      if (typeof value !== "string" || value === "") throw new RegistryError("DATA_INVALID");
      if (!isImageId(value) || !(await access.mayUse(ctx, value))) throw new RegistryError("IMAGE_UNKNOWN");
      await tags.put(repository, tag, value, setterJson(ctx.get("User-Agent")));
      await access.noteImages(ctx, [value], repository);
      answer(ctx, true);
    }),
  );
  router.delete(
    "/v1/repositories/*repo/tags/:tag",
    forRepository(access, async (ctx, repository) => {
      await tags.delete(repository, parseTagName(parameter(ctx, "tag")));
      answer(ctx, true);
    }),
  );
  router.get(
    "/v1/repositories/*repo/tags",
    forRepository(access, async (ctx, repository) => {
      const list = await tags.list(repository);
      for (const { image } of list) await access.noteImages(ctx, [image], repository);
      answer(ctx, Object.fromEntries(list.map(({ name, image }) => [name, image])));
    }),
  );
  router.get(
    "/v1/repositories/*repo/json",
    forRepository(access, async (ctx, repository) => {
      answerDocument(ctx, (await tags.repositoryJson(repository)) ?? pythonJson(unknownSetter));
    }),
  );
}

/** Who set a tag, as its client's User-Agent tells it; `last_update` in seconds. */
function setterJson(userAgent: string): string {
  const products = parseUserAgent(userAgent);
  return pythonJson({
    arch: products.get("arch")?.toLowerCase(),
    docker_go_version: products.get("go"),
    docker_version: products.get("docker"),
    kernel: products.get("kernel")?.toLowerCase(),
    last_update: Math.floor(Date.now() / 1000),
    os: products.get("os")?.toLowerCase(),
  });
}
