import { createPublicKey, sign as signBytes, verify as verifyBytes, type KeyObject } from "node:crypto";

/** What a signature covers; `path` without its query. */
export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** The hashes a signature may be made with; the Python registry knew `sha1` alone. */
export type SignatureHash = "sha1" | "sha256";

const longestSignature = 8192;

/**
 * The text that is signed: `METHOD,path,X-Docker-A:value,…` with the `X-Docker-*` headers in the order of their names
 * and the path percent-decoded, as the Python registry saw it.
 */
export function signatureText({ method, path, headers }: SignedRequest): string {
  const lines = Object.entries(headers)
    .filter(([name, value]) => name.toLowerCase().startsWith("x-docker-") && value !== undefined)
    .map(([name, value]): [string, string] => [titleCase(name), [value ?? ""].flat().join(",")])
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}`);
  return [method.toUpperCase(), decoded(path), ...lines].join(",");
}

/** The `X-Signature` header for a request. Only `sha1`, the default, is understood by a Python registry. */
export function sign(request: SignedRequest, privateKey: KeyObject, hash: SignatureHash = "sha1"): string {
  const data = signBytes(hash, Buffer.from(signatureText(request)), privateKey).toString("base64");
  return `algorithm=${hash}; data=${data}`;
}

/**
 * Whether the request's `X-Signature` was made by the private half of `publicKey`. A missing or malformed header is
 * merely not valid; nothing that a client sends makes this throw.
 */
export function verify(request: SignedRequest, publicKey: KeyObject): boolean {
  const signature = parseSignature(header(request, "x-signature"));
  if (!signature || publicKey.asymmetricKeyType !== "rsa") return false;
  try {
    const key = publicKey.type === "private" ? createPublicKey(publicKey) : publicKey;
    return verifyBytes(signature.hash, Buffer.from(signatureText(request)), key, signature.data);
  } catch {
    return false;
  }
}

function parseSignature(text: string | undefined): { hash: SignatureHash; data: Buffer } | undefined {
  if (text === undefined || text.length > longestSignature) return undefined;
  const fields = new Map(
    text.split(";").map((part): [string, string] => {
      const [name = "", ...value] = part.split("=");
      return [name.trim(), value.join("=").trim()];
    }),
  );
  const data = fields.get("data") ?? "";
  const hash = fields.get("algorithm") ?? "sha1";
  if (hash !== "sha1" && hash !== "sha256") return undefined;
  return /^[A-Za-z0-9+/]+={0,2}$/.test(data) ? { hash, data: Buffer.from(data, "base64") } : undefined;
}

function header({ headers }: SignedRequest, wanted: string): string | undefined {
  const value = Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1];
  return typeof value === "string" ? value : value?.[0];
}

function titleCase(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
