import { createHash, type Hash } from "node:crypto";
import { RegistryError } from "../errors.ts";

/** `algorithm:hex`, as OCI distribution 1.1 writes it; only `isDigest` and hashing make one. */
export type Digest = string & { readonly __digest: true };

/** The address of content: what is at `digest` has `size` bytes. */
export interface Descriptor {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
}

const hexLength = { sha256: 64, sha512: 128 } as const;

/** How content is hashed; `sha256` unless a client asks for another. */
export type Algorithm = keyof typeof hexLength;

/** Whether `text` is a digest of a supported algorithm. */
export function isDigest(text: string): text is Digest {
  const [algorithm = "", hex = "", ...rest] = text.split(":");
  return isAlgorithm(algorithm) && rest.length === 0 && hex.length === hexLength[algorithm] && /^[0-9a-f]+$/.test(hex);
}

/** Rejects with DIGEST_INVALID. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new RegistryError("DIGEST_INVALID", {
    detail: "expected sha256: and 64 hex digits, or sha512: and 128 hex digits",
  });
}

/** Whether `text` names an algorithm that digests may have here. */
export function isAlgorithm(text: string): text is Algorithm {
  return Object.hasOwn(hexLength, text);
}

/** The two parts of a digest. */
export function digestParts(digest: Digest): { readonly algorithm: Algorithm; readonly hex: string } {
  const colon = digest.indexOf(":");
  return { algorithm: digest.slice(0, colon) as Algorithm, hex: digest.slice(colon + 1) };
}

/** The digest of bytes that are all there. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}

/** The digest, of an algorithm that `parseDigest` knows, of bytes that are all there. */
export function digestAs(algorithm: string, bytes: Uint8Array): Digest {
  return parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`);
}

/**
 * `source`, that throws DIGEST_INVALID instead of ending when its bytes are not those of `digest`: a write of it then
 * keeps nothing. Every way into the store goes through here or through `Hashing`. `seed` as there.
 */
export async function* verified(
  source: AsyncIterable<Uint8Array>,
  digest: Digest,
  seed?: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const hashing = new Hashing(digestParts(digest).algorithm, seed);
  yield* hashing.through(source);
  const found = hashing.digest();
  if (found !== digest) throw differs(found);
}

/** The refusal of content whose digest was found to be another one than its client said. */
export function differs(found: Digest): RegistryError {
  return new RegistryError("DIGEST_INVALID", {
    message: "The content is not what its digest says",
    detail: `the content that arrived is ${found}`,
  });
}

/**
 * Passes bytes through while counting and hashing them. Read `digest` and `size` once the source has ended.
 * `seed` is hashed before the first byte and not passed on (V1's payload checksum starts with the image's JSON).
 */
export class Hashing {
  readonly algorithm: Algorithm;
  #hash: Hash;
  #size = 0;

  constructor(algorithm: Algorithm = "sha256", seed?: Uint8Array) {
    this.algorithm = algorithm;
    this.#hash = createHash(algorithm);
    if (seed) this.#hash.update(seed);
  }

  /** Another that has seen the same so far; each then goes its own way. */
  copy(): Hashing {
    const copy = new Hashing(this.algorithm);
    copy.#hash = this.#hash.copy();
    copy.#size = this.#size;
    return copy;
  }

  async *through(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.#hash.update(chunk);
      this.#size += chunk.length;
      yield chunk;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** Ends the hash; call it once. */
  digest(): Digest {
    return `${this.algorithm}:${this.#hash.digest("hex")}` as Digest;
  }
}
