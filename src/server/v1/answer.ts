import type { Context } from "koa";
import { RegistryError } from "../errors.ts";
import { bufferedBody } from "../http/body.ts";
import { parseJson } from "../registry/documents.ts";
import { pythonJson } from "../registry/python-json.ts";
import type { V1Options } from "./parts.ts";

const notCacheable = { "Cache-Control": "no-cache", Expires: "-1", Pragma: "no-cache" } as const;
const yearSeconds = 31_536_000;

/** Answers `value` as JSON that no cache may keep. */
export function answer(ctx: Context, value: unknown, status = 200): void {
  answerDocument(ctx, pythonJson(value), status);
}

/** Answers a document as it is stored. */
export function answerDocument(ctx: Context, document: string | Buffer, status = 200): void {
  ctx.set(notCacheable);
  ctx.body = document;
  ctx.status = status;
  ctx.set("Content-Type", "application/json");
}

/** Who may keep an answer: also caches that several users share, or the user's own alone. */
export type Sharing = "public" | "private";

/** Lets caches keep the answer for a year: what belongs to a complete image never changes. */
export function makeCacheable(ctx: Context, sharing: Sharing): void {
  ctx.set({
    "Cache-Control": `${sharing}, max-age=${yearSeconds}`,
    Expires: new Date(Date.now() + yearSeconds * 1000).toUTCString(),
    "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT",
  });
}

/** Answers 304 to a client that has a copy, whatever its age: images never change. Answers whether it did. */
export function answerNotModified(ctx: Context, sharing: Sharing): boolean {
  if (ctx.get("If-Modified-Since") === "") return false;
  makeCacheable(ctx, sharing);
  ctx.remove("Last-Modified");
  ctx.status = 304;
  return true;
}

/** The request's JSON and its bytes. Rejects with `invalid` when it is none, BODY_TOO_LARGE when it is too long. */
export async function jsonBody(
  ctx: Context,
  options: V1Options,
  invalid: "JSON_INVALID" | "DATA_INVALID" = "JSON_INVALID",
): Promise<{ readonly bytes: Buffer; readonly value: unknown }> {
  const bytes = await documentBody(ctx, options);
  const value = parseJson(bytes);
  if (value === undefined) throw new RegistryError(invalid);
  return { bytes, value };
}

/** The request's body, whole; it must be as small as documents are. */
export async function documentBody(ctx: Context, options: V1Options): Promise<Buffer> {
  return await bufferedBody(ctx, { limit: options.maxJsonSize, idleTimeout: options.idleTimeout });
}
