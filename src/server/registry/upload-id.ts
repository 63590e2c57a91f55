import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { isAlgorithm, type Algorithm } from "./digest.ts";
import type { Documents } from "./documents.ts";
import type { OciName } from "./oci-names.ts";
import { uploadSecretKey, uploadSecretsPrefix } from "./paths.ts";

/** The id of an upload that this registry has begun: hex digits, safe in URLs and keys. */
export type UploadId = string & { readonly __uploadId: true };

/** What an id says of its upload. */
export interface UploadIdentity {
  readonly id: UploadId;
  readonly begun: Date;
  /** How its first chunk is hashed: what its client said that the digest will be. */
  readonly algorithm: Algorithm;
}

const algorithms: readonly Algorithm[] = ["sha256", "sha512"];
const randomLength = 12;
const timeLength = 6;
const payloadLength = 1 + timeLength + randomLength;
const macLength = 16;
const secretLength = 32;

/**
 * Ids that prove by themselves that they were issued, for which repository and when, so that beginning an upload writes
 * nothing. They are signed with a secret of the store: every process on it knows the ids of all others.
 */
export class UploadIds {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  #loading: Promise<readonly Buffer[]> | undefined;

  constructor(driver: StorageDriver, documents: Documents) {
    this.#driver = driver;
    this.#documents = documents;
  }

  /** A new id. `now` in milliseconds since 1970. */
  async issue(name: OciName, algorithm: Algorithm, now = Date.now()): Promise<UploadId> {
    const [secret] = await this.#secrets();
    if (!secret) throw new Error(`There is no usable secret in ${uploadSecretsPrefix}`);
    const payload = Buffer.concat([Buffer.alloc(1 + timeLength), randomBytes(randomLength)]);
    payload.writeUInt8(algorithms.indexOf(algorithm), 0);
    payload.writeUIntBE(now, 1, timeLength);
    return Buffer.concat([payload, mac(secret, payload, name)]).toString("hex") as UploadId;
  }

  /** What `text` says if it was issued for the repository, by any process on this store; else undefined. */
  async read(name: OciName, text: string): Promise<UploadIdentity | undefined> {
    if (text.length !== (payloadLength + macLength) * 2 || !/^[0-9a-f]+$/.test(text)) return undefined;
    const bytes = Buffer.from(text, "hex");
    const payload = bytes.subarray(0, payloadLength);
    const algorithm = algorithms[payload.readUInt8(0)];
    const fits = (secret: Buffer): boolean =>
      timingSafeEqual(mac(secret, payload, name), bytes.subarray(payloadLength));
    // Another process may have added its secret since ours were read.
    const issued = (await this.#secrets()).some(fits) || (await this.#secrets("anew")).some(fits);
    if (!issued || algorithm === undefined || !isAlgorithm(algorithm)) return undefined;
    return { id: text as UploadId, begun: new Date(payload.readUIntBE(1, timeLength)), algorithm };
  }

  /**
   * No storage can create an object only where there is none. So each process that finds no secret adds its own, under
   * a name of its own; all of them count, and the first in order signs.
   */
  async #secrets(how?: "anew"): Promise<readonly Buffer[]> {
    if (how === "anew") this.#loading = undefined;
    this.#loading ??= this.#load();
    const loading = this.#loading;
    return await loading.catch((error: unknown) => {
      if (this.#loading === loading) this.#loading = undefined;
      throw error;
    });
  }

  async #load(): Promise<readonly Buffer[]> {
    const found = await this.#stored();
    if (found.length > 0) return found;
    await this.#documents.write(uploadSecretKey(randomUUID()), randomBytes(secretLength));
    return await this.#stored();
  }

  async #stored(): Promise<readonly Buffer[]> {
    const secrets: Buffer[] = [];
    for await (const { key } of this.#driver.list(uploadSecretsPrefix)) {
      const secret = await this.#documents.read(key);
      if (secret?.length === secretLength) secrets.push(secret);
    }
    return secrets;
  }
}

function mac(secret: Buffer, payload: Uint8Array, name: OciName): Buffer {
  return createHmac("sha256", secret).update(payload).update(name).digest().subarray(0, macLength);
}
