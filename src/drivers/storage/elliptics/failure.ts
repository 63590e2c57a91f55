import { DriverError, type DriverErrorCode } from "../errors.ts";

/** Statuses as Linux numbers its errors, whatever system this runs on; the last three are never sent. */
export const status = {
  missing: -2,
  outside: -7,
  full: -28,
  readOnly: -30,
  corrupt: -84,
  unsupported: -95,
  unroutable: -6,
  lost: -104,
  silent: -110,
} as const;

/** A server answered with a status that is not 0, or no answer came: then one of the client's own. */
export class EllipticsFailure extends Error {
  override readonly name = "EllipticsFailure";
  readonly status: number;

  constructor(code: number, message: string) {
    super(message);
    this.status = code;
  }
}

/** What was received is none of the protocol, or not what was asked for: the connection can't be trusted any more. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** The status that stands for what a request failed with. */
export function statusOf(error: unknown): number {
  return error instanceof EllipticsFailure ? error.status : status.lost;
}

const meanings: Readonly<Record<number, string>> = {
  [status.missing]: "there is no such key",
  [status.outside]: "the range is outside",
  [status.full]: "the disk is full",
  [status.readOnly]: "the backend is read-only",
  [status.corrupt]: "the stored checksum does not match",
  [status.unsupported]: "no server has an enabled backend of this group",
};

/** What a status says to people. */
export function textOf(code: number): string {
  return `status ${code}${meanings[code] === undefined ? "" : `: ${meanings[code]}`}`;
}

const codes: Readonly<Record<number, DriverErrorCode>> = {
  [status.missing]: "NOT_FOUND",
  [status.outside]: "INVALID_RANGE",
  [status.full]: "NO_SPACE",
  [status.readOnly]: "REFUSED",
};

/** One group's failure. */
export interface GroupFailure {
  readonly group: number;
  readonly error: unknown;
}

/**
 * What the failures of groups, one at least, mean for what was to be read of `subject`. Only where all of them say the same is
 * it more than that the store can't be used now.
 */
export function readFailure(failures: readonly GroupFailure[], subject: string): DriverError {
  return driverError(failures, subject, codes);
}

/** The same for a change, to which it is no answer that something is missing. */
export function changeFailure(failures: readonly GroupFailure[], subject: string): DriverError {
  return driverError(failures, subject, { ...codes, [status.missing]: "UNAVAILABLE", [status.outside]: "UNAVAILABLE" });
}

function driverError(
  failures: readonly GroupFailure[],
  subject: string,
  meaning: Readonly<Record<number, DriverErrorCode>>,
): DriverError {
  const statuses = new Set(failures.map(({ error }) => statusOf(error)));
  const [only] = statuses;
  const code = statuses.size === 1 && only !== undefined ? meaning[only] : undefined;
  const reasons = failures.map(({ group, error }) => `group ${group}: ${reasonOf(error)}`);
  return new DriverError(code ?? "UNAVAILABLE", `${subject}: ${reasons.join("; ")}`, { cause: failures[0]?.error });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
