import { createHash, createVerify, randomBytes } from "node:crypto";
import { ApiError } from "./answer.ts";

const googlesTokenUris = ["https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token"];
const scopes = ["devstorage.full_control", "devstorage.read_write", "cloud-platform"];

/** Somebody who may ask for tokens: a service account has a key, a user a client that keeps a refresh token. */
export interface Account {
  readonly email: string;
  readonly publicKey?: string;
  readonly client?: { readonly id: string; readonly secret: string; readonly refreshToken: string };
}

/** Gives out tokens as Google does, and knows whose they are. */
export class Accounts {
  readonly #accounts: Account[] = [];
  readonly #tokens = new Map<string, { readonly email: string; readonly until: number }>();
  /** Seconds. */
  validity = 3600;

  add(account: Account): void {
    this.#accounts.push(account);
  }

  /** Takes all tokens back. */
  revoke(): void {
    this.#tokens.clear();
  }

  /** Answers the form that a client posts for a token. */
  grant(form: URLSearchParams, ownUri: string): { readonly status: number; readonly body: object } {
    const refused = (error: string, description: string) => ({
      status: error === "invalid_client" ? 401 : 400,
      body: { error, error_description: description },
    });
    let email: string;
    switch (form.get("grant_type")) {
      case "urn:ietf:params:oauth:grant-type:jwt-bearer": {
        const fault = this.#faultOf(form.get("assertion") ?? "", [...googlesTokenUris, ownUri]);
        if (fault !== undefined) return refused("invalid_grant", fault);
        email = claimsOf(form.get("assertion") ?? "").iss;
        break;
      }
      case "refresh_token": {
        const account = this.#accounts.find(({ client }) => client?.id === form.get("client_id"));
        if (account?.client?.secret !== form.get("client_secret")) return refused("invalid_client", "Unauthorized");
        if (account.client.refreshToken !== form.get("refresh_token")) return refused("invalid_grant", "Bad Request");
        ({ email } = account);
        break;
      }
      case null:
      default:
        return refused("unsupported_grant_type", "Invalid grant_type");
    }
    const token = `ya29.${randomBytes(24).toString("base64url")}`;
    this.#tokens.set(token, { email, until: Date.now() + this.validity * 1000 });
    return { status: 200, body: { access_token: token, token_type: "Bearer", expires_in: this.validity } };
  }

  /** Whose token a request carries. */
  whose(authorization: string | undefined): string {
    const token = this.#tokens.get(/^Bearer (.+)$/.exec(authorization ?? "")?.[1] ?? "");
    if (token === undefined || token.until < Date.now()) throw new ApiError(401, "authError", "Invalid Credentials");
    return token.email;
  }

  /** Who signed a URL for this request; refuses what Google refuses. */
  signer(method: string, url: URL, headers: Readonly<Record<string, string | string[] | undefined>>): string {
    const query = url.searchParams;
    const denied = (why: string): ApiError => new ApiError(403, "SignatureDoesNotMatch", why);
    const [email = "", ...scope] = (query.get("X-Goog-Credential") ?? "").split("/");
    const key = this.#accounts.find((account) => account.email === email)?.publicKey;
    const date = query.get("X-Goog-Date") ?? "";
    if (query.get("X-Goog-Algorithm") !== "GOOG4-RSA-SHA256" || key === undefined) throw denied("unknown signer");
    if (scope.join("/") !== `${date.slice(0, 8)}/auto/storage/goog4_request`) throw denied("wrong scope");
    const begun = Date.parse(
      date.replace(
        /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/,
        (_, ...[y, m, d, h, i, s]: string[]) => `${y}-${m}-${d}T${h}:${i}:${s}Z`,
      ),
    );
    const seconds = Number(query.get("X-Goog-Expires"));
    if (!(seconds >= 1 && seconds <= 604_800)) throw denied("wrong validity");
    if (!(begun <= Date.now() + 60_000 && Date.now() < begun + seconds * 1000))
      throw new ApiError(400, "ExpiredToken", "Invalid argument.");
    const signed = (query.get("X-Goog-SignedHeaders") ?? "").split(";");
    const lines = signed.map((name) => {
      const value = String(headers[name] ?? "");
      // Google's library signs the name of the host alone: there is no other port than the usual one.
      return `${name}:${name === "host" ? value.replace(/:\d+$/, "") : value}\n`;
    });
    const canonicalQuery = [...query]
      .filter(([name]) => name !== "X-Goog-Signature")
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .toSorted()
      .join("&");
    const canonical = [method, url.pathname, canonicalQuery, lines.join(""), signed.join(";"), "UNSIGNED-PAYLOAD"];
    const hash = createHash("sha256").update(canonical.join("\n")).digest("hex");
    const text = ["GOOG4-RSA-SHA256", date, scope.join("/"), hash].join("\n");
    const signature = Buffer.from(query.get("X-Goog-Signature") ?? "", "hex");
    if (!createVerify("RSA-SHA256").update(text).verify(key, signature)) throw denied("wrong signature");
    return email;
  }

  #faultOf(assertion: string, audiences: readonly string[]): string | undefined {
    const [head = "", body = "", signature = ""] = assertion.split(".");
    const { alg } = JSON.parse(String(Buffer.from(head, "base64url"))) as { alg?: string };
    const { iss, aud, iat, exp, scope } = claimsOf(assertion);
    const key = this.#accounts.find(({ email }) => email === iss)?.publicKey;
    const now = Date.now() / 1000;
    if (key === undefined) return "Invalid grant: account not found";
    if (alg !== "RS256") return "Invalid JWT: wrong algorithm";
    const isSigned = createVerify("RSA-SHA256")
      .update(`${head}.${body}`)
      .verify(key, Buffer.from(signature, "base64url"));
    if (!isSigned) return "Invalid JWT Signature.";
    if (!audiences.includes(aud)) return "Invalid JWT: wrong audience";
    if (!(iat <= now + 60 && exp > now && exp - iat <= 3600)) return "Invalid JWT: not valid now";
    if (!scope.split(" ").some((name) => scopes.some((known) => name.endsWith(`/auth/${known}`))))
      return "invalid_scope";
    return undefined;
  }
}

interface Claims {
  readonly iss: string;
  readonly aud: string;
  readonly iat: number;
  readonly exp: number;
  readonly scope: string;
}

function claimsOf(assertion: string): Claims {
  const claims = JSON.parse(String(Buffer.from(assertion.split(".")[1] ?? "", "base64url"))) as Partial<Claims>;
  return { iss: "", aud: "", iat: 0, exp: 0, scope: "", ...claims };
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}
