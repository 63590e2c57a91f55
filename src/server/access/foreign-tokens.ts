import { createHash, createPublicKey, X509Certificate, type KeyObject } from "node:crypto";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  jwtVerify,
  type CryptoKey,
  type JWSHeaderParameters,
  type JWTVerifyOptions,
} from "jose";
import { RegistryError } from "../errors.ts";
import { isObject } from "../registry/documents.ts";
import { valid, type ValidToken } from "./tokens.ts";

/** Where the keys of another token service come from: the text of a JWKS, a place that answers one, or certificates. */
export type ForeignKeys =
  | { readonly kind: "jwks"; readonly text: string }
  | { readonly kind: "url"; readonly url: URL }
  | { readonly kind: "certificates"; readonly pem: string };

/** What tokens of another service have to be. */
export interface ForeignTokenSettings {
  readonly service: string;
  readonly issuer: string;
  readonly keys: ForeignKeys;
}

/** How far clocks of two machines may be apart, in seconds. */
const tolerance = 60;
const patience = 5000;
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

type KeyFinder = (header: JWSHeaderParameters) => Promise<KeyObject | CryptoKey>;

/** Reads tokens of another service (distribution, token authentication). Throws when its keys can't be used. */
export function foreignTokens({
  service,
  issuer,
  keys,
}: ForeignTokenSettings): (token: string) => Promise<ValidToken | undefined> {
  const find = keyFinder(keys);
  const options: JWTVerifyOptions = {
    issuer,
    audience: service,
    algorithms,
    clockTolerance: tolerance,
    requiredClaims: ["exp"],
  };
  return async (token) => {
    try {
      return await valid(async () => (await jwtVerify(token, find, options)).payload);
    } catch (cause) {
      if (cause instanceof RegistryError) throw cause;
      throw new RegistryError("TOKEN_SERVICE_UNAVAILABLE", { cause });
    }
  };
}

function keyFinder(keys: ForeignKeys): KeyFinder {
  switch (keys.kind) {
    case "jwks": {
      const value: unknown = JSON.parse(keys.text);
      if (!isObject(value) || !Array.isArray(value["keys"])) throw new Error("no list of keys in JSON (JWKS)");
      const set = createLocalJWKSet({ keys: value["keys"].filter(isObject) });
      return async (header) => await set(header);
    }
    case "url": {
      const set = createRemoteJWKSet(keys.url, { timeoutDuration: patience });
      return async (header) => await set(header);
    }
    case "certificates": {
      const trusted = certificatesOf(keys.pem);
      if (trusted.length === 0) throw new Error("no certificate in PEM form");
      return async (header) => await Promise.resolve(keyByCertificates(header, trusted));
    }
  }
}

/** The certificates of a PEM file, in its order. */
export function certificatesOf(pem: string): readonly X509Certificate[] {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return texts.map((text) => new X509Certificate(text));
}

/** The key of the chain in the token (`x5c`), if it leads to what is trusted; else that of the only certificate. */
function keyByCertificates({ x5c, jwk, kid }: JWSHeaderParameters, trusted: readonly X509Certificate[]): KeyObject {
  if (x5c !== undefined && x5c.length > 0) {
    const chain = x5c.slice(0, 10).map((each) => parsed(each));
    const [leaf] = chain;
    if (leaf && leadsTo(chain, trusted)) return leaf.publicKey;
    throw new errors.JWKSNoMatchingKey();
  }
  const keys = trusted.filter(isTimely).map(({ publicKey }) => publicKey);
  const given = jwk === undefined ? undefined : keys.find((key) => isSameKey(key, jwk));
  const found =
    given ??
    keys.find((key) => kid !== undefined && libtrustId(key) === kid) ??
    (keys.length === 1 ? keys[0] : undefined);
  if (!found) throw new errors.JWKSNoMatchingKey();
  return found;
}

function parsed(der: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(der, "base64"));
  } catch {
    throw new errors.JWSInvalid("a certificate of the chain can't be read");
  }
}

/** Whether each certificate of the chain is signed by the next, and one of them is trusted or signed by what is. */
function leadsTo(chain: readonly X509Certificate[], trusted: readonly X509Certificate[]): boolean {
  for (const [index, certificate] of chain.entries()) {
    if (!isTimely(certificate)) return false;
    const anchor = trusted.find((each) => each.raw.equals(certificate.raw) || isSignedBy(certificate, each));
    if (anchor) return isTimely(anchor);
    const next = chain[index + 1];
    if (!next?.ca || !isSignedBy(certificate, next)) return false;
  }
  return false;
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isTimely({ validFrom, validTo }: X509Certificate): boolean {
  const now = Date.now();
  return Date.parse(validFrom) - tolerance * 1000 <= now && now <= Date.parse(validTo) + tolerance * 1000;
}

function isSameKey(key: KeyObject, jwk: object): boolean {
  try {
    return createPublicKey({ key: { ...jwk }, format: "jwk" }).equals(key);
  } catch {
    return false;
  }
}

const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** What token services of docker's kind call a key: of its SHA-256 the first 30 bytes in base32, in groups of four. */
function libtrustId(key: KeyObject): string {
  const bytes = createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest()
    .subarray(0, 30);
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = (bits.match(/.{5}/g) ?? []).map((group) => base32[Number.parseInt(group, 2)] ?? "").join("");
  return (letters.match(/.{4}/g) ?? []).join(":");
}
