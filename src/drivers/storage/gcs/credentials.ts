import { readFile } from "node:fs/promises";
import { z } from "zod";
import { DriverError } from "../errors.ts";
import type { BotoSettings } from "../s3/credentials.ts";
import type { GcsSettings } from "./options.ts";

/** As Google's own files have them. What isn't said here is for Google's library. */
const keyFile = z.looseObject({ type: z.string(), token_uri: z.url({ protocol: /^https?$/ }).optional() });

/** Whose tokens are used. */
export interface Credentials {
  /** Undefined for what Google's library finds by itself: its own variable, gcloud's file, or the machine's account. */
  readonly json: Readonly<Record<string, unknown>> | undefined;
  /** Where tokens are given out, when it is another place than usual. */
  readonly tokenUri: string | undefined;
}

/**
 * The service account that the flavor names, else the client with the refresh token of a user, each also as boto's files
 * have them. Rejects a half of a client, and a file that can't be read.
 */
export async function chooseCredentials(settings: GcsSettings, boto: BotoSettings): Promise<Credentials> {
  const { gs_service_key_file: filedKey, gs_oauth2_refresh_token: filedToken } = boto["Credentials"] ?? {};
  const { client_id: filedId, client_secret: filedSecret, provider_token_uri: tokenUri } = boto["OAuth2"] ?? {};
  const { gs_service_key_file: written } = settings;
  if (written !== undefined) return await fromFile(written, "gs_service_key_file");
  const id = settings.oauth2_client_id ?? filedId;
  const secret = settings.oauth2_client_secret ?? filedSecret;
  const token = settings.oauth2_refresh_token ?? filedToken;
  if (token !== undefined) {
    if (id === undefined || secret === undefined) {
      const [missing] = id === undefined ? ["oauth2_client_id"] : ["oauth2_client_secret"];
      throw new DriverError("REFUSED", `there is a refresh token and ${missing} is not set`);
    }
    const json = { type: "authorized_user", client_id: id, client_secret: secret, refresh_token: token };
    return { json, tokenUri };
  }
  if (filedKey !== undefined) return await fromFile(filedKey, "gs_service_key_file of boto's configuration");
  return { json: undefined, tokenUri };
}

async function fromFile(path: string, option: string): Promise<Credentials> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new DriverError("REFUSED", `${option} can't be read: ${path}`, { cause });
  });
  const parsed = keyFile.safeParse(jsonOf(text));
  if (!parsed.success) {
    throw new DriverError("REFUSED", `${option} is no key file of Google's: make a new one, in the JSON format`);
  }
  return { json: parsed.data, tokenUri: parsed.data.token_uri };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
