/**
 * What went wrong, in terms a caller can act on. UNAVAILABLE is worth retrying; NO_SPACE and REFUSED (credentials, rights,
 * no such bucket: the message names the option) need the operator; INVALID_KEY is a key that no driver may see.
 */
export type DriverErrorCode = "NOT_FOUND" | "INVALID_RANGE" | "INVALID_KEY" | "UNAVAILABLE" | "NO_SPACE" | "REFUSED";

/** A storage failure, classified by the driver that saw it. `cause` is the backend's own error. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  readonly code: DriverErrorCode;

  constructor(code: DriverErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Whether `error` says that the object does not exist. */
export function isNotFound(error: unknown): error is DriverError {
  return error instanceof DriverError && error.code === "NOT_FOUND";
}
