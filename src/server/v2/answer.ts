import type { Context } from "koa";
import type { ErrorCode } from "../errors.ts";
import type { Failure, Rendered } from "../http/errors.ts";

/** Answers `value` as JSON, and gives the body of the answer. */
export function answerJson(ctx: Context, value: unknown, type = "application/json"): Buffer {
  const body = Buffer.from(JSON.stringify(value));
  ctx.body = body;
  ctx.set("Content-Type", type);
  return body;
}

/** Codes of ours that the specification has another word for. */
const specified: Partial<Record<ErrorCode | "INTERNAL", string>> = {
  BLOB_UPLOAD_OUT_OF_ORDER: "BLOB_UPLOAD_INVALID",
  BODY_TOO_LARGE: "SIZE_INVALID",
  IMAGE_UNTRANSLATABLE: "MANIFEST_UNKNOWN",
  INTERNAL: "UNKNOWN",
  METHOD_NOT_ALLOWED: "UNSUPPORTED",
  MIRROR_SOURCE_BUSY: "TOOMANYREQUESTS",
  MIRROR_SOURCE_FAILED: "UNKNOWN",
  MIRROR_SOURCE_TIMEOUT: "UNKNOWN",
  NOT_FOUND: "NAME_UNKNOWN",
};

/**
 * Failures as V2 clients read them (OCI distribution 1.1, error codes). docker, podman and skopeo show people the message
 * alone, so the detail is in it too.
 */
export function renderV2({ code, message, detail }: Failure): Rendered {
  const told = detail === undefined ? { message } : { message: `${message}: ${detail}`, detail };
  const error = { code: specified[code] ?? code, ...told };
  return { type: "application/json", body: JSON.stringify({ errors: [error] }) };
}
