import { z } from "zod";
import { option } from "../../option.ts";
import { botoOptions } from "../s3/options.ts";

/** The options that only `storage: gcs` has; the bucket and the host are boto's. */
export const gcsOptions = {
  gs_access_key: option(z.string().min(1).optional(), {
    description:
      "The access key of an HMAC pair of Google Cloud Storage; without it, gs_access_key_id of /etc/boto.cfg or ~/.boto.",
    env: ["GCS_KEY"],
  }),
  gs_secret_key: option(z.string().min(1).optional(), {
    description: "The secret that belongs to gs_access_key.",
    env: ["GCS_SECRET"],
    secret: true,
  }),
  gs_secure: option(z.boolean().default(true), {
    description: "Speak HTTPS with Google.",
    env: ["GCS_SECURE"],
  }),
  oauth2: option(z.boolean().default(false), {
    description:
      "Use Google's own API and tokens instead of HMAC keys: of a service account, of a client with a refresh token, or what Google's tools and machines give by default.",
    env: ["GCS_OAUTH2"],
  }),
  gs_service_key_file: option(z.string().min(1).meta({ format: "path" }).optional(), {
    description:
      "With oauth2: the JSON file with the key of a service account; without it, the one of ~/.boto or that GOOGLE_APPLICATION_CREDENTIALS names.",
    env: ["GCS_SERVICE_KEY_FILE"],
  }),
  oauth2_client_id: option(z.string().min(1).optional(), {
    description: "With oauth2: the id of the client that a user has given access to.",
    env: ["OAUTH2_CLIENT_ID"],
  }),
  oauth2_client_secret: option(z.string().min(1).optional(), {
    description: "The secret of oauth2_client_id.",
    env: ["OAUTH2_CLIENT_SECRET"],
    secret: true,
  }),
  oauth2_refresh_token: option(z.string().min(1).optional(), {
    description:
      "The refresh token that the user has given the client; without it, gs_oauth2_refresh_token of ~/.boto.",
    env: ["OAUTH2_REFRESH_TOKEN"],
    secret: true,
  }),
};

const schema = z.object({
  storage_path: option(z.string().default("/registry"), {
    description: "The prefix of all keys in the bucket.",
    env: ["STORAGE_PATH"],
  }),
  ...gcsOptions,
  ...botoOptions,
});

/** What the driver is opened with. */
export const gcsSchema = schema;

export type GcsSettings = z.output<typeof schema>;
