/**
 * What went wrong, in terms a caller can act on. UNAVAILABLE is worth retrying; NO_SPACE and REFUSED (credentials, rights,
 * no such bucket: the message names the option) need the operator; INVALID_KEY is a key that no driver may see.
 */
export type DriverErrorCode = (typeof codes)[number];

const codes = ["NOT_FOUND", "INVALID_RANGE", "INVALID_KEY", "UNAVAILABLE", "NO_SPACE", "REFUSED"] as const;

/**
 * A storage failure, classified by the driver that saw it. `cause` is the backend's own error. A driver by others may have
 * made it with another copy of this class, or with none: an error that looks like one is an instance.
 */
export class DriverError extends Error {
  override readonly name = "DriverError";
  readonly code: DriverErrorCode;

  constructor(code: DriverErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (!(value instanceof Error) || value.name !== "DriverError" || !("code" in value)) return false;
    return codes.some((code) => code === value.code);
  }
}

/** Whether `error` says that the object does not exist. */
export function isNotFound(error: unknown): error is DriverError {
  return error instanceof DriverError && error.code === "NOT_FOUND";
}
