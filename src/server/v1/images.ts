import type Router from "@koa/router";
import type { Context } from "koa";
import { RegistryError } from "../errors.ts";
import { requestBody } from "../http/body.ts";
import { sendObject } from "../http/send.ts";
import { parseImageDocument, type ClaimedChecksum } from "../registry/image-push.ts";
import type { ImageView } from "../registry/images.ts";
import type { ImageId } from "../registry/names.ts";
import { pythonJson } from "../registry/python-json.ts";
import { answer, answerNotModified, documentBody, makeCacheable } from "./answer.ts";
import { claimsTarsum } from "./client.ts";
import { forImage, type RouteContext } from "./guards.ts";
import { sendLayer } from "./layer.ts";
import type { V1Parts } from "./parts.ts";

type Handler = (ctx: RouteContext, id: ImageId) => Promise<void>;
type ViewHandler = (ctx: RouteContext, id: ImageId, images: ImageView) => Promise<void>;

/** Images: their documents, layers and what is in them, and how they are pushed. */
export function imageRoutes(router: Router, parts: V1Parts): void {
  const { access } = parts;
  const open = (handler: ViewHandler) => forImage(access, ofVisible(parts, "open", handler));
  const hidden = (handler: ViewHandler) => forImage(access, ofVisible(parts, "private", handler));
  for (const [document, handler] of Object.entries(documents(parts))) {
    router.get(`/v1/images/:id/${document}`, open(handler));
  }
  for (const document of ["json", "layer", "files"] as const) {
    router.get(`/v1/private_images/:id/${document}`, hidden(documents(parts)[document]));
  }
  router.put("/v1/images/:id/json", forImage(access, putJson(parts)));
  router.put("/v1/images/:id/layer", forImage(access, putLayer(parts)));
  router.put("/v1/images/:id/checksum", forImage(access, putChecksum(parts)));
}

/** Images that the client may see through one of the two doors. */
function ofVisible(
  { access, images, arriving, hasAccounts }: V1Parts,
  door: "open" | "private",
  handler: ViewHandler,
): Handler {
  return async (ctx, id) => {
    const coming = await arriving?.(id);
    if (!coming && (await images.state(id)) === "inProgress") throw new RegistryError("IMAGE_IN_PROGRESS");
    const sharing = hasAccounts ? "private" : "public";
    if (answerNotModified(ctx, sharing)) return;
    if (!coming) await images.requireComplete(id);
    if (!(await access.shows(ctx, id, door))) throw new RegistryError("IMAGE_UNKNOWN");
    // What is not here yet may turn out to be wrong.
    if (coming) ctx.set("Cache-Control", "no-store");
    else makeCacheable(ctx, sharing);
    await handler(ctx, id, coming ?? images);
  };
}

function documents(parts: V1Parts): Readonly<Record<"json" | "ancestry" | "layer" | "files" | "diff", ViewHandler>> {
  const { access, images: kept, fileLists, options } = parts;
  return {
    json: async (ctx, id, images) => {
      const json = await images.json(id);
      const layer = await images.layer(id).catch(absent);
      if (layer) ctx.set("X-Docker-Size", String(layer.size));
      for (const checksum of await images.checksums(id)) setChecksum(ctx, checksum);
      cacheableDocument(ctx, json);
    },
    ancestry: async (ctx, id, images) => {
      const ancestry = await images.ancestry(id);
      await access.noteImages(ctx, ancestry);
      cacheableDocument(ctx, Buffer.from(pythonJson(ancestry)));
    },
    layer: async (ctx, id, images) => {
      await sendLayer(ctx, await images.layer(id), options);
    },
    files: async (ctx, id) => {
      await kept.requireComplete(id);
      await sendObject(ctx, { ...(await fileLists.files(id)), ...asJson(options.idleTimeout) });
    },
    diff: async (ctx, id) => {
      await kept.requireComplete(id);
      await sendObject(ctx, { ...(await fileLists.diff(id)), ...asJson(options.idleTimeout) });
    },
  };
}

const asJson = (idleTimeout: number) => ({ headers: { "Content-Type": "application/json" }, idleTimeout });

function cacheableDocument(ctx: Context, document: Buffer): void {
  ctx.body = document;
  ctx.set("Content-Type", "application/json");
}

/** An image that an old registry lost the layer of still has its JSON. */
function absent(error: unknown): undefined {
  if (error instanceof RegistryError && error.code === "IMAGE_UNKNOWN") return undefined;
  throw error;
}

/** Both names that the payload checksum had, and the one name of the tarsum. */
function setChecksum(ctx: Context, checksum: string): void {
  if (checksum.startsWith("tarsum")) ctx.set("X-Docker-Checksum", checksum);
  else ctx.set({ "X-Docker-Checksum-Payload": checksum, "X-Docker-Payload-Checksum": checksum });
}

function putJson({ access, hasAccounts, push, options }: V1Parts): Handler {
  return async (ctx, id) => {
    const document = parseImageDocument(id, await documentBody(ctx, options));
    if (!(await access.mayPush(ctx, id))) throw new RegistryError("IMAGE_NOT_IN_REPOSITORY");
    // Where there are accounts, an image that one may not use is not there.
    if (hasAccounts && document.parent !== undefined && !(await access.mayUse(ctx, document.parent))) {
      throw new RegistryError("PARENT_UNKNOWN");
    }
    await push.putDocument(
      document,
      async (parent) => await access.mayUse(ctx, parent),
      async () => !hasAccounts || (await access.mayUse(ctx, id)),
    );
    await access.notePush(ctx, id);
    answer(ctx, true);
  };
}

function putLayer({ access, push, options }: V1Parts): Handler {
  return async (ctx, id) => {
    if (!(await access.mayFinish(ctx, id))) throw new RegistryError("IMAGE_UNKNOWN");
    const limits = { limit: options.maxLayerSize, idleTimeout: options.idleTimeout };
    const isOld = claimsTarsum(ctx.get("User-Agent"));
    await access.notePush(ctx, id, await push.putLayer(id, () => requestBody(ctx, limits), isOld));
    answer(ctx, true);
  };
}

function putChecksum({ access, images, push }: V1Parts): Handler {
  return async (ctx, id) => {
    if (!(await access.mayFinish(ctx, id))) throw new RegistryError("IMAGE_UNKNOWN");
    await push.putChecksum(id, claimedChecksum(ctx));
    await access.noteComplete(ctx, id, await images.checksums(id));
    answer(ctx, true);
  };
}

function claimedChecksum(ctx: Context): ClaimedChecksum {
  const kind = claimsTarsum(ctx.get("User-Agent")) ? "tarsum" : "payload";
  const value = ctx.get(kind === "tarsum" ? "X-Docker-Checksum" : "X-Docker-Checksum-Payload");
  if (value === "") throw new RegistryError("CHECKSUM_MISSING");
  return { kind, value };
}
