import { RegistryError, type ErrorCode } from "../errors.ts";

/**
 * How an upstream fails: it can't be reached, takes too long, allows no more requests for now, lets us not in, or answers
 * with what is none.
 */
export type FailureKind = "unreachable" | "timeout" | "busy" | "refused" | "broken";

/** An upstream does not give what it may have. That it hasn't is no failure. */
export class UpstreamFailure extends Error {
  override readonly name = "UpstreamFailure";
  readonly kind: FailureKind;
  /** Seconds after which it may be asked again, where that is known. */
  readonly retryAfter: number | undefined;

  constructor(kind: FailureKind, message: string, options: { retryAfter?: number | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.kind = kind;
    this.retryAfter = options.retryAfter;
  }
}

const codes = {
  unreachable: "MIRROR_SOURCE_FAILED",
  timeout: "MIRROR_SOURCE_TIMEOUT",
  busy: "MIRROR_SOURCE_BUSY",
  broken: "MIRROR_SOURCE_FAILED",
} as const satisfies Partial<Record<FailureKind, ErrorCode>>;

/**
 * What a client is told when nothing in store can be given instead; anything but an upstream's failure stays what it is.
 * Upstreams refuse what they don't have, too: then it is `absent`.
 */
export function told(error: unknown, absent: ErrorCode): unknown {
  if (!(error instanceof UpstreamFailure)) return error;
  const code = error.kind === "refused" ? absent : codes[error.kind];
  return new RegistryError(code, { detail: error.message, cause: error });
}

/** Why a request got no answer, as a failure. */
export function unanswered(who: string, cause: unknown): UpstreamFailure {
  const code = codeOf(cause);
  if (code.includes("TIMEOUT") || code === "ETIMEDOUT" || (cause instanceof Error && cause.name === "TimeoutError")) {
    return new UpstreamFailure("timeout", `${who} does not answer in time`, { cause });
  }
  const reason = reasons[code] ?? (code === "" ? "the connection failed" : code);
  return new UpstreamFailure("unreachable", `${who} can't be reached: ${reason}`, { cause });
}

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: "its name is not known (DNS)",
  EAI_AGAIN: "its name can't be looked up (DNS)",
  ECONNREFUSED: "nobody listens there",
  EPRIVATE: "it sends us to an address that is not public",
  ECONNRESET: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is not trusted",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is not trusted",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};

function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string" && error.code !== "") return error.code;
  return codeOf(error.cause);
}
