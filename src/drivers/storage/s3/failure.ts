import type { IncomingMessage } from "node:http";
import { DriverError, type DriverErrorCode } from "../errors.ts";
import { textOf } from "./xml.ts";

/** An answer of the server that is no success, in the server's own words; those hold no secret of ours. */
export class ServerFailure extends Error {
  override readonly name = "ServerFailure";
  readonly status: number;
  /** Such as `NoSuchKey`; empty where the server gave none, as in answers to HEAD. */
  readonly code: string;
  readonly region: string | undefined;

  constructor(status: number, code: string, message: string, region?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.region = region;
  }

  /** The server says that it has done nothing, and why: it has too much to do. */
  get isBusy(): boolean {
    return this.status === 503 || this.status === 429 || busy.has(this.code);
  }

  /** The server does such things, but not with so many bytes at once. */
  get isTooLarge(): boolean {
    return this.status === 413 || this.code === "EntityTooLarge";
  }
}

const busy: ReadonlySet<string> = new Set(["SlowDown", "rateLimitExceeded", "userRateLimitExceeded"]);

/** What the options of a storage are called, for messages that tell to correct them. */
export interface OptionNames {
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
  readonly region: string;
  /** What may help where a server can't do what it was asked for. */
  readonly simpler: string;
}

export const s3Names: OptionNames = {
  bucket: "s3_bucket",
  accessKey: "s3_access_key",
  secretKey: "s3_secret_key",
  sessionToken: "s3_session_token",
  region: "s3_region",
  simpler: "; if it can't encrypt, or not without s3_secure, set s3_encrypt to false",
};

/** What a request was about, for messages. */
export interface Subject {
  readonly options: OptionNames;
  readonly bucket: string;
  /** The object's key as the caller knows it; undefined for requests about the bucket. */
  readonly key?: string | undefined;
}

/** More of an answer is not read: no server explains itself at such length. */
const longestAnswer = 65_536;

/** The beginning of what a server says of a failure; the connection is free afterwards. */
export async function readExplanation(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response as AsyncIterable<string>) if (text.length < longestAnswer) text += chunk;
  return text;
}

/** Reads a failure as Amazon's servers tell it. */
export async function readFailure(response: IncomingMessage): Promise<ServerFailure> {
  const { statusCode: status = 0, headers } = response;
  const text = await readExplanation(response);
  const code = textOf(text, "Code") ?? "";
  const said = textOf(text, "Message") ?? "";
  const region = textOf(text, "Region") ?? headers["x-amz-bucket-region"]?.toString();
  const message = [`HTTP ${status}`, code, said].filter((part) => part !== "").join(" ");
  return new ServerFailure(status, code, message.slice(0, 500), region);
}

/** What `error` means to the caller. Failures not known better are UNAVAILABLE. */
export function driverError(error: unknown, subject: Subject): DriverError {
  if (error instanceof DriverError) return error;
  // The client library wraps what it meets when it looks for keys.
  if (error instanceof Error && error.cause instanceof DriverError) return error.cause;
  const { code, text }: Meaning = error instanceof ServerFailure ? meaning(error, subject) : { code: "UNAVAILABLE" };
  const what = subject.key === undefined ? `the bucket ${subject.bucket}` : subject.key;
  return new DriverError(code, text ?? `${what}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

interface Meaning {
  readonly code: DriverErrorCode;
  readonly text?: string;
}

function meaning(failure: ServerFailure, subject: Subject): Meaning {
  const { bucket, key, options } = subject;
  const refused = (text: string): Meaning => ({ code: "REFUSED", text: `${text} (${failure.message})` });
  switch (failure.code) {
    case "NoSuchBucket":
      return refused(`the bucket ${bucket} does not exist: correct ${options.bucket}, or make it`);
    case "InvalidBucketName":
      return refused(`${bucket} can't be the name of a bucket: correct ${options.bucket}`);
    case "InvalidAccessKeyId":
    case "InvalidSecurity":
      return refused(`the server does not know the access key: correct ${options.accessKey}`);
    case "SignatureDoesNotMatch":
      return refused(`the server does not accept the signature: correct ${options.secretKey}, or ${options.accessKey}`);
    case "ExpiredToken":
    case "InvalidToken":
      return refused(`the session token is not or no longer valid: correct ${options.sessionToken}`);
    case "AuthorizationHeaderMalformed":
    case "PermanentRedirect":
    case "IllegalLocationConstraintException":
      return refused(
        `the bucket ${bucket} is in another region: set ${options.region} to ${failure.region ?? "that one"}`,
      );
    case "RequestTimeTooSkewed":
      return refused("the clock of this machine is wrong");
    case "NotImplemented":
    case "InvalidRequest":
      return refused(`the server can't do this${options.simpler}`);
    case "KeyTooLongError":
    case "InvalidURI":
    case "InvalidObjectName":
      return { code: "INVALID_KEY" };
    case "InvalidRange":
      return { code: "INVALID_RANGE" };
    case "QuotaExceeded":
      return { code: "NO_SPACE" };
    case "EntityTooLarge":
      return { code: "REFUSED" };
    case "NoSuchKey":
      return { code: "NOT_FOUND", text: `${key ?? bucket} does not exist` };
    default:
      return meaningOfStatus(failure, subject);
  }
}

function meaningOfStatus({ status, message, region }: ServerFailure, { bucket, key, options }: Subject): Meaning {
  switch (status) {
    case 301:
    case 307:
    case 400:
      if (region === undefined) return { code: status === 400 ? "UNAVAILABLE" : "REFUSED" };
      return { code: "REFUSED", text: `the bucket ${bucket} is in another region: set ${options.region} to ${region}` };
    case 401:
    case 403: {
      const place = key === undefined ? `the bucket ${bucket}` : `${key} in the bucket ${bucket}`;
      const rights = key === undefined ? "the rights, that of listing among them" : "the rights";
      const who = `give the owner of ${options.accessKey} ${rights}, or correct ${options.accessKey} and ${options.secretKey}`;
      return { code: "REFUSED", text: `the server denies access to ${place}: ${who} (${message})` };
    }
    case 404:
      if (key !== undefined) return { code: "NOT_FOUND", text: `${key} does not exist` };
      return { code: "REFUSED", text: `the bucket ${bucket} does not exist: correct ${options.bucket}, or make it` };
    case 413:
      return { code: "REFUSED" };
    case 416:
      return { code: "INVALID_RANGE" };
    case 507:
      return { code: "NO_SPACE" };
    default:
      return { code: "UNAVAILABLE" };
  }
}
