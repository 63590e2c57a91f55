import { trust } from "../s3/trust.ts";
import { botoFiles, readBoto } from "../s3/credentials.ts";
import type { Tuning } from "../s3/object-bucket.ts";
import { Transport } from "../s3/transport.ts";
import { chooseCredentials } from "./credentials.ts";
import { readJsonFailure } from "./failure.ts";
import { Identity } from "./identity.ts";
import { JsonApi } from "./json-api.ts";
import { JsonObjects } from "./json-objects.ts";
import type { GcsSettings } from "./options.ts";
import { placeOf } from "./place.ts";

/** Of an upload: bytes have come, and more are waited for. */
const incomplete = 308;

/** Makes what the driver speaks through with tokens, of the flavor and of boto's `files`. */
export async function connectByTokens(
  settings: GcsSettings,
  tuning: Tuning,
  files = botoFiles(),
): Promise<JsonObjects> {
  const boto = await readBoto(files);
  const place = placeOf(settings, boto);
  const { secure, host, port } = place;
  const endpoint = `${secure ? "https" : "http"}://${host}${port === undefined ? "" : `:${port}`}`;
  const identity = new Identity(await chooseCredentials(settings, boto), endpoint, tuning.idle);
  const transport = new Transport({
    secure,
    idle: tuning.idle,
    ...(await trust(boto)),
    alsoFine: [incomplete],
    explain: readJsonFailure,
  });
  return new JsonObjects(new JsonApi(place, tuning, identity, transport));
}
