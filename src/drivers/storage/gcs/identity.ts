import { Storage } from "@google-cloud/storage";
import type { RedirectOptions } from "../driver.ts";
import { DriverError } from "../errors.ts";
import type { Credentials } from "./credentials.ts";

type Client = Awaited<ReturnType<Storage["authClient"]["getClient"]>>;

/** Where Google's library asks for tokens, whatever a key file says. */
const usualTokenUri = /^https:\/\/(oauth2\.googleapis\.com\/token|www\.googleapis\.com\/oauth2\/v4\/token)$/;

/** URLs work for a week at most. */
const longest = 7 * 86_400;

/**
 * Who asks, by Google's own library: it finds credentials of all kinds, gets tokens for them, keeps these for as long as
 * they are valid, and signs.
 */
export class Identity {
  readonly #credentials: Credentials;
  readonly #endpoint: string;
  readonly #patience: number;
  #storage: Storage;
  #client: Promise<Client> | undefined;

  /** `endpoint` is what signed URLs begin with; tokens are waited for so many milliseconds. */
  constructor(credentials: Credentials, endpoint: string, patience: number) {
    this.#credentials = credentials;
    this.#endpoint = endpoint;
    this.#patience = patience;
    this.#storage = this.#open();
  }

  /** What requests carry. Rejects with REFUSED when only the operator can help. */
  async authorization(): Promise<string> {
    try {
      this.#client ??= this.#connect();
      const headers = await (await this.#client).getRequestHeaders();
      const { Authorization: authorization } = headers;
      if (authorization === undefined) throw new Error("there is no token");
      return authorization;
    } catch (error) {
      this.#client = undefined;
      throw tokenError(error);
    }
  }

  /** The last token was refused: the next one is a new one. */
  forget(): void {
    this.#storage = this.#open();
    this.#client = undefined;
  }

  /** A URL that lets its bearer read the object of that name; undefined where the credentials can't sign. */
  async sign(bucket: string, name: string, { seconds, contentType }: RedirectOptions): Promise<URL | undefined> {
    const validity = Math.min(Math.max(Math.round(seconds), 1), longest);
    try {
      const [url] = await this.#storage
        .bucket(bucket)
        .file(name)
        .getSignedUrl({
          version: "v4",
          action: "read",
          expires: Date.now() + validity * 1000,
          ...(contentType !== undefined && { responseType: contentType }),
        });
      return new URL(url);
    } catch (error) {
      if (error instanceof Error && error.name === "SigningError") return undefined;
      throw tokenError(error);
    }
  }

  #open(): Storage {
    const { json } = this.#credentials;
    return new Storage({ apiEndpoint: this.#endpoint, ...(json && { credentials: json }) });
  }

  async #connect(): Promise<Client> {
    const client = await this.#storage.authClient.getClient();
    const { tokenUri } = this.#credentials;
    client.gaxios?.interceptors.request.add({
      resolved: async (config) => {
        config.timeout ??= this.#patience;
        if (tokenUri !== undefined && usualTokenUri.test(String(config.url))) config.url = tokenUri;
        return await Promise.resolve(config);
      },
    });
    return client;
  }
}

/** What keeps us from a token, without the request that was made for it: that holds secrets. */
function tokenError(error: unknown): DriverError {
  const { status, message } = facts(error);
  if (message.includes("Could not load the default credentials")) {
    const text =
      "there are no credentials for Google: set gs_service_key_file, or oauth2_client_id, oauth2_client_secret and oauth2_refresh_token, or GOOGLE_APPLICATION_CREDENTIALS";
    return new DriverError("REFUSED", text);
  }
  const isRefused = (status !== undefined && status >= 400 && status < 500 && status !== 429) || status === undefined;
  const isTransient = /ECONN|ETIMEDOUT|EAI_AGAIN|ENOTFOUND|EPIPE|socket|timeout|network/i.test(message);
  if (isRefused && !isTransient) {
    const text = `Google gives no token for these credentials: correct gs_service_key_file, or the client of oauth2 (${message})`;
    return new DriverError("REFUSED", text);
  }
  return new DriverError("UNAVAILABLE", `Google gives no token: ${message}`);
}

function facts(error: unknown): { readonly status: number | undefined; readonly message: string } {
  const message = error instanceof Error ? error.message : String(error);
  const response: unknown = error instanceof Error && "response" in error ? error.response : undefined;
  const hasStatus = typeof response === "object" && response !== null && "status" in response;
  const status = hasStatus && typeof response.status === "number" ? response.status : undefined;
  return { status, message: message.slice(0, 300) };
}
