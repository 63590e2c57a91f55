import { DriverError, type DriverErrorCode } from "../errors.ts";

/** Names what stands where the key should: an object where a folder is needed, or the reverse. */
const conflicts = ["ENOTDIR", "EISDIR", "EEXIST", "ENOTEMPTY", "ELOOP"];

const onRead: Readonly<Record<string, DriverErrorCode>> = {
  ENOENT: "NOT_FOUND",
  ENOTDIR: "NOT_FOUND",
  EISDIR: "NOT_FOUND",
  // What opening a link answers when links are not followed, and opening a socket.
  ELOOP: "NOT_FOUND",
  ENXIO: "NOT_FOUND",
  ENAMETOOLONG: "INVALID_KEY",
  ERR_INVALID_ARG_VALUE: "INVALID_KEY",
};

const onWrite: Readonly<Record<string, DriverErrorCode>> = {
  ENOSPC: "NO_SPACE",
  EDQUOT: "NO_SPACE",
  EFBIG: "NO_SPACE",
  ENAMETOOLONG: "INVALID_KEY",
  ERR_INVALID_ARG_VALUE: "INVALID_KEY",
};

/** The `code` of an error of the file system, or the empty text. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** What a failure to read `key` means to the caller. Failures not known better are UNAVAILABLE. */
export function readFailure(key: string, error: unknown): DriverError {
  if (error instanceof DriverError) return error;
  const code = onRead[codeOf(error)] ?? "UNAVAILABLE";
  return code === "NOT_FOUND" ? notFound(key, error) : failure(code, `${key} can't be read`, error);
}

/** What a failure to write `key` means to the caller. */
export function writeFailure(key: string, error: unknown): DriverError {
  if (error instanceof DriverError) return error;
  if (conflicts.includes(codeOf(error))) {
    return failure("INVALID_KEY", `${key} can't be stored: a name on its way is an object, or it is a folder`, error);
  }
  return failure(onWrite[codeOf(error)] ?? "UNAVAILABLE", `${key} can't be written`, error);
}

/** Does what writes `key`; rejects as `writeFailure` says. */
export async function inWrite<T>(key: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw writeFailure(key, error);
  }
}

/** There is no object at `key`. */
export function notFound(key: string, cause?: unknown): DriverError {
  return new DriverError("NOT_FOUND", `${key} does not exist`, { cause });
}

function failure(code: DriverErrorCode, text: string, cause: unknown): DriverError {
  return new DriverError(code, `${text}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}
