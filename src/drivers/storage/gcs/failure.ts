import type { IncomingMessage } from "node:http";
import { z } from "zod";
import { DriverError, type DriverErrorCode } from "../errors.ts";
import { readExplanation, ServerFailure } from "../s3/failure.ts";

const explanation = z.object({
  error: z.object({
    message: z.string().default(""),
    errors: z.array(z.object({ reason: z.string().default("") })).default([]),
  }),
});

/** Reads a failure as Google's JSON API tells it; what is in front of it may tell it in other ways. */
export async function readJsonFailure(response: IncomingMessage): Promise<ServerFailure> {
  const { statusCode: status = 0 } = response;
  const text = await readExplanation(response);
  const said = explanation.safeParse(parsed(text)).data?.error;
  const reason = said?.errors[0]?.reason ?? "";
  const message = [`HTTP ${status}`, reason, said?.message ?? ""].filter((part) => part !== "").join(" ");
  // Answers to requests for content are a line of text.
  const line = said ? "" : (/^[^<\r\n]{1,300}/.exec(text)?.[0] ?? "");
  return new ServerFailure(status, reason, line === "" ? message.slice(0, 500) : `${message} ${line}`);
}

/** What `error` means to the caller. `key` is the one that the request was about. Failures not known better are UNAVAILABLE. */
export function googleError(error: unknown, bucket: string, key?: string): DriverError {
  if (error instanceof DriverError) return error;
  const { code, text } =
    error instanceof ServerFailure ? meaning(error, bucket, key) : { code: "UNAVAILABLE" as const };
  const what = key ?? `the bucket ${bucket}`;
  return new DriverError(code, text ?? `${what}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

interface Meaning {
  readonly code: DriverErrorCode;
  readonly text?: string;
}

function meaning(failure: ServerFailure, bucket: string, key: string | undefined): Meaning {
  const { status, message } = failure;
  const refused = (text: string): Meaning => ({ code: "REFUSED", text: `${text} (${message})` });
  if (failure.isBusy) return { code: "UNAVAILABLE" };
  switch (status) {
    case 400:
      if (/bucket name/i.test(message)) return refused(`${bucket} can't be the name of a bucket: correct boto_bucket`);
      return { code: "REFUSED" };
    case 401:
      return refused("Google does not accept the token: correct gs_service_key_file, or the client of oauth2");
    case 403: {
      const place = key === undefined ? `the bucket ${bucket}` : `${key} in the bucket ${bucket}`;
      const who = "give the account the role Storage Object Admin on the bucket";
      return refused(`Google denies access to ${place}: ${who}`);
    }
    case 404:
      if (key !== undefined && !/bucket does not exist/i.test(message)) {
        return { code: "NOT_FOUND", text: `${key} does not exist` };
      }
      return refused(`the bucket ${bucket} does not exist: correct boto_bucket, or make it`);
    case 413:
      return { code: "REFUSED" };
    case 416:
      return { code: "INVALID_RANGE" };
    default:
      return { code: "UNAVAILABLE" };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
