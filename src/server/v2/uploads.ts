import type Router from "@koa/router";
import type { Context } from "koa";
import type { Caller } from "../access/caller.ts";
import type { Doorkeeper } from "../access/doorkeeper.ts";
import { RegistryError } from "../errors.ts";
import { announcedLength, requestBody } from "../http/body.ts";
import { queryOf } from "../http/query.ts";
import { isAlgorithm, parseDigest, type Algorithm, type Digest } from "../registry/digest.ts";
import type { BlobStore } from "../registry/linked-blobs.ts";
import { isOciName, type OciName } from "../registry/oci-names.ts";
import type { UploadBody } from "../registry/upload-body.ts";
import type { Uploads } from "../registry/uploads.ts";
import { forRepository, type RouteContext } from "./guards.ts";

/** What uploads are served from. */
export interface UploadParts {
  readonly doorkeeper: Doorkeeper;
  readonly uploads: Uploads;
  readonly linkedBlobs: BlobStore;
  /** The `Location` of a path of this registry, as the client may use it. */
  readonly location: (ctx: Context, path: string) => string;
  /** Seconds that a client may send nothing before it is cut off; 0 is for ever. */
  readonly idleTimeout: number;
}

/** Any chunk is taken, but each is an object in the store and a wait for the disk; in bytes. */
const chunkMinLength = 1024 * 1024;

/** Pushing blobs (OCI distribution 1.1, end-4, end-5, end-6, end-11, end-13, end-14). */
export function uploadRoutes(router: Router, parts: UploadParts): void {
  const { doorkeeper, uploads } = parts;
  const path = "/v2/*name/blobs/uploads/:id";

  const begin = forRepository(
    doorkeeper,
    "push",
    async (ctx, name, caller) => {
      await start(ctx, name, caller, parts);
    },
    (ctx) => ({ from: sourceOf(ctx) }),
  );

  const tell = forRepository(doorkeeper, "push", async (ctx, name) => {
    const id = idOf(ctx);
    tellUpload(ctx, { name, id, size: await uploads.size(name, id) }, parts);
    ctx.status = 204;
  });

  const append = forRepository(doorkeeper, "push", async (ctx, name) => {
    const id = idOf(ctx);
    const body = bodyOf(ctx, parts);
    const size = await inOrder(ctx, name, id, parts, uploads.append(name, id, body));
    tellUpload(ctx, { name, id, size }, parts);
    ctx.status = 202;
    ctx.body = "";
  });

  const finish = forRepository(doorkeeper, "push", async (ctx, name) => {
    const id = idOf(ctx);
    const digest = digestOfQuery(ctx, "digest");
    const body = hasBody(ctx) ? bodyOf(ctx, parts) : undefined;
    await inOrder(ctx, name, id, parts, uploads.finish(name, id, digest, body));
    tellBlob(ctx, name, digest, parts);
  });

  const cancel = forRepository(doorkeeper, "push", async (ctx, name) => {
    await uploads.cancel(name, idOf(ctx));
    ctx.status = 204;
  });

  router.post(["/v2/*name/blobs/uploads/", "/v2/*name/blobs/uploads"], begin);
  router.get(path, tell);
  router.patch(path, append);
  router.put(path, finish);
  router.delete(path, cancel);
}

/** Mounts (end-11), takes the whole blob (end-4b), or begins an upload (end-4a, end-4c). */
async function start(ctx: Context, name: OciName, caller: Caller, parts: UploadParts): Promise<void> {
  const { uploads, linkedBlobs } = parts;
  const query = queryOf(ctx);
  if (query.has("mount")) {
    const digest = digestOfQuery(ctx, "mount");
    const source = sourceOf(ctx);
    // From anywhere is for those who may read everywhere; a repository that can't exist holds nothing to mount.
    const mayMount = query.has("from") ? source !== undefined && caller.may("pull", source) : caller.seesAll;
    if (mayMount && (await linkedBlobs.mount(name, digest, source))) {
      tellBlob(ctx, name, digest, parts);
      return;
    }
  } else if (query.has("digest")) {
    const digest = digestOfQuery(ctx, "digest");
    await uploads.put(name, digest, bodyOf(ctx, parts));
    tellBlob(ctx, name, digest, parts);
    return;
  }
  const id = await uploads.start(name, algorithmOf(query.get("digest-algorithm") ?? "sha256"));
  tellUpload(ctx, { name, id, size: 0 }, parts);
  ctx.set("OCI-Chunk-Min-Length", String(chunkMinLength));
  ctx.status = 202;
  ctx.body = "";
}

/** A client whose chunk is refused is told where to go on (end-5). */
async function inOrder<T>(ctx: Context, name: OciName, id: string, parts: UploadParts, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof RegistryError && error.code === "BLOB_UPLOAD_OUT_OF_ORDER") {
      tellUpload(ctx, { name, id, size: await parts.uploads.size(name, id) }, parts);
    }
    throw error;
  }
}

/** `Range` ends with the last byte, and is `0-0` when there is none yet too. */
function tellUpload(
  ctx: Context,
  { name, id, size }: { readonly name: OciName; readonly id: string; readonly size: number },
  { location }: UploadParts,
): void {
  ctx.set({
    Location: location(ctx, `/v2/${name}/blobs/uploads/${id}`),
    Range: `0-${Math.max(0, size - 1)}`,
    "Docker-Upload-UUID": id,
  });
}

function tellBlob(ctx: Context, name: OciName, digest: Digest, { location }: UploadParts): void {
  ctx.set({ Location: location(ctx, `/v2/${name}/blobs/${digest}`), "Docker-Content-Digest": digest });
  ctx.status = 201;
  ctx.body = "";
}

function bodyOf(ctx: Context, { idleTimeout }: UploadParts): UploadBody {
  return {
    source: requestBody(ctx, { idleTimeout }),
    length: announcedLength(ctx.req),
    range: contentRange(ctx.get("Content-Range")),
  };
}

function hasBody({ req }: Context): boolean {
  return req.headers["transfer-encoding"] !== undefined || (announcedLength(req) ?? 0) > 0;
}

/** `<start>-<end>`, the last byte included; with the unit and the size that RFC 9110 has and the specification has not. */
function contentRange(header: string): UploadBody["range"] {
  if (header === "") return undefined;
  const [, first, last] = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header) ?? [];
  const range = { start: Number(first), end: Number(last) + 1 };
  if (first !== undefined && last !== undefined && range.start < range.end) return range;
  throw new RegistryError("BLOB_UPLOAD_INVALID", { detail: "expected Content-Range: <first byte>-<last byte>" });
}

function digestOfQuery(ctx: Context, parameter: "digest" | "mount"): Digest {
  return parseDigest(queryOf(ctx).get(parameter) ?? "");
}

function algorithmOf(text: string): Algorithm {
  if (isAlgorithm(text)) return text;
  throw new RegistryError("DIGEST_INVALID", { message: "The digest's algorithm is not supported" });
}

/** The repository that a blob is to be mounted from. */
function sourceOf(ctx: Context): OciName | undefined {
  const query = queryOf(ctx);
  const from = query.has("mount") ? query.get("from") : null;
  return from !== null && isOciName(from) ? from : undefined;
}

function idOf({ params }: RouteContext): string {
  return params["id"] ?? "";
}
