import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { calculateJwkThumbprint } from "jose";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import type { Documents } from "../registry/documents.ts";
import { tokenKeyKey, tokenKeysPrefix } from "../registry/paths.ts";

/** A key that tokens are signed with; `id` tells it from others in their `kid`. */
export interface TokenKey {
  readonly id: string;
  readonly algorithm: "ES256" | "RS256";
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** The keys of a registry, the same for every process and server that works on its store. */
export interface TokenKeys {
  /** The one to sign with. */
  signing(): Promise<TokenKey>;
  /** The one with that id; undefined where there is none. */
  find(id: string): Promise<TokenKey | undefined>;
}

/** A key of the operator's, such as `keygen` makes. Rejects when it is none that tokens could be signed with. */
export async function operatorKey(privateKey: KeyObject): Promise<TokenKeys> {
  const key = await tokenKey(privateKey);
  return {
    signing: async () => await Promise.resolve(key),
    find: async (id) => await Promise.resolve(id === key.id ? key : undefined),
  };
}

/** How often at most the store is asked for a key that nobody here knows, in milliseconds. */
const patience = 1000;

/**
 * Keys kept in the store. No storage can create an object only where there is none, so each process that finds no key adds
 * its own; all of them count, and the first in order signs. On a disk, only whoever runs the registry may read them.
 */
export class StoredTokenKeys implements TokenKeys {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  #loading: Promise<readonly TokenKey[]> | undefined;
  #loadedAt = -Infinity;

  constructor({ driver, documents }: { readonly driver: StorageDriver; readonly documents: Documents }) {
    this.#driver = driver;
    this.#documents = documents;
  }

  async signing(): Promise<TokenKey> {
    const [key] = await this.#keys();
    if (!key) throw new Error(`There is no usable key in ${tokenKeysPrefix}`);
    return key;
  }

  async find(id: string): Promise<TokenKey | undefined> {
    const known = (await this.#keys()).find((key) => key.id === id);
    if (known || performance.now() - this.#loadedAt < patience) return known;
    // Another process may have added its key since ours were read.
    this.#loading = undefined;
    return (await this.#keys()).find((key) => key.id === id);
  }

  async #keys(): Promise<readonly TokenKey[]> {
    this.#loading ??= this.#load();
    const loading = this.#loading;
    return await loading.catch((error: unknown) => {
      if (this.#loading === loading) this.#loading = undefined;
      throw error;
    });
  }

  async #load(): Promise<readonly TokenKey[]> {
    this.#loadedAt = performance.now();
    const found = await this.#stored();
    if (found.length > 0) return found;
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = tokenKeyKey(randomUUID());
    const path = this.#driver.localPath(key);
    if (path !== undefined) await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await this.#documents.write(key, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
    return await this.#stored();
  }

  async #stored(): Promise<readonly TokenKey[]> {
    const keys: TokenKey[] = [];
    for await (const { key } of this.#driver.list(tokenKeysPrefix)) {
      const text = await this.#documents.read(key);
      if (text) keys.push(await tokenKey(createPrivateKey(text)));
    }
    return keys;
  }
}

async function tokenKey(privateKey: KeyObject): Promise<TokenKey> {
  const publicKey = createPublicKey(privateKey);
  const algorithm = algorithmOf(privateKey);
  const id = await calculateJwkThumbprint(publicKey.export({ format: "jwk" }));
  return { id, algorithm, privateKey, publicKey };
}

function algorithmOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): TokenKey["algorithm"] {
  if (type === "rsa") return "RS256";
  if (type === "ec" && details?.namedCurve === "prime256v1") return "ES256";
  throw new Error(`a key of type ${String(type)}; RSA, or EC on the curve P-256, is needed`);
}
