import { randomUUID } from "node:crypto";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { RegistryError } from "../errors.ts";
import type { Blobs } from "./blobs.ts";
import type { LayerFacts } from "./bridge/layer-facts.ts";
import { digestOf, Hashing, type Digest } from "./digest.ts";
import { isObject, parseJson, type Documents } from "./documents.ts";
import type { Images, LayerRecord } from "./images.ts";
import type { Turns } from "./keyed-lock.ts";
import { LayerAnalysis } from "./layers/analysis.ts";
import { sniffMediaType } from "./layers/compression.ts";
import { isImageId, type ImageId } from "./names.ts";
import { contestedKey, imageKey, layerRecordKey, layerRecordPrefix } from "./paths.ts";
import { pythonJson } from "./python-json.ts";

/** What a client claims its push to be: the payload checksum, or a tarsum from docker before 0.10. */
export interface ClaimedChecksum {
  readonly kind: "payload" | "tarsum";
  readonly value: string;
}

/** The part of an image's JSON that the registry acts on. */
export interface ImageDocument {
  readonly id: ImageId;
  readonly parent: ImageId | undefined;
  readonly bytes: Buffer;
}

/**
 * Parses the body of PUT json for the image `id`. Rejects with IMAGE_JSON_INVALID or PARENT_UNKNOWN; the texts are those
 * of the original.
 */
export function parseImageDocument(id: ImageId, bytes: Buffer): ImageDocument {
  const value = parseJson(bytes);
  if (!isObject(value) || Object.keys(value).length === 0) throw new RegistryError("IMAGE_JSON_INVALID");
  if (!Object.hasOwn(value, "id")) {
    throw new RegistryError("IMAGE_JSON_INVALID", { message: "Missing key `id' in JSON" });
  }
  if (value["id"] !== id) throw new RegistryError("IMAGE_JSON_INVALID", { message: "JSON data contains invalid id" });
  const parent = value["parent"] ?? undefined;
  if (parent === undefined || parent === "") return { id, parent: undefined, bytes };
  if (!isImageId(parent)) throw new RegistryError("PARENT_UNKNOWN");
  return { id, parent, bytes };
}

/**
 * Pushes V1 images: document, layer, checksum. The image is marked in progress before anything of it is written and
 * until a right checksum has named its layer; a push that breaks anywhere is repeated from the start, over what is there.
 */
export class ImagePush {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #images: Images;
  readonly #blobs: Blobs;
  readonly #analysis: LayerAnalysis;
  readonly #layerFacts: LayerFacts;
  readonly #turns: Turns;

  constructor(parts: {
    readonly driver: StorageDriver;
    readonly documents: Documents;
    readonly images: Images;
    readonly blobs: Blobs;
    readonly analysis: LayerAnalysis;
    readonly layerFacts: LayerFacts;
    readonly turns: Turns;
  }) {
    this.#driver = parts.driver;
    this.#documents = parts.documents;
    this.#images = parts.images;
    this.#blobs = parts.blobs;
    this.#analysis = parts.analysis;
    this.#layerFacts = parts.layerFacts;
    this.#turns = parts.turns;
  }

  /**
   * Begins the push of an image, or begins it again. `mayUse` says whether the parent may be built upon; `isShown` whether
   * the image may be told to be there: who is not shown a complete image may push the very same once more, to show that it
   * is theirs too. Rejects with PARENT_UNKNOWN, PARENT_UNAUTHORIZED, DATA_INVALID or IMAGE_EXISTS.
   */
  async putDocument(
    document: ImageDocument,
    mayUse: (parent: ImageId) => Promise<boolean>,
    isShown: () => Promise<boolean> = shown,
  ): Promise<void> {
    const { id, parent } = document;
    if (parent !== undefined) {
      if (!(await this.#images.exists(parent))) throw new RegistryError("PARENT_UNKNOWN");
      if (!(await mayUse(parent))) throw new RegistryError("PARENT_UNAUTHORIZED");
    }
    await this.#turns.run(id, async () => {
      if (await this.#isRepeatable(document, isShown)) {
        await this.#documents.write(contestedKey(id), "true");
        return;
      }
      await this.#writeDocument(document, [id, ...(parent === undefined ? [] : await this.#images.ancestry(parent))]);
    });
  }

  /**
   * Pushes an image whose layer is a blob already, with everything at once. Its ancestors, which begin with itself, need
   * not be there. That it is complete is fine.
   */
  async putWhole(document: ImageDocument, ancestry: readonly ImageId[], layer: LayerRecord): Promise<void> {
    const { id } = document;
    try {
      await this.#turns.run(id, async () => {
        await this.#writeDocument(document, ancestry);
      });
      await this.#documents.write(layerRecordKey(id, layer.payload), JSON.stringify(layer));
      await this.putChecksum(id, { kind: "payload", value: layer.payload });
    } catch (error) {
      if ((await this.#images.state(id)) !== "complete") throw error;
    }
  }

  async #isRepeatable({ id, bytes }: ImageDocument, isShown: () => Promise<boolean>): Promise<boolean> {
    if ((await this.#images.state(id)) !== "complete" || (await isShown())) return false;
    return bytes.equals(await this.#images.json(id));
  }

  async #writeDocument({ id, bytes }: ImageDocument, ancestry: readonly ImageId[]): Promise<void> {
    if (ancestry.lastIndexOf(id) > 0) throw new RegistryError("DATA_INVALID", { message: "Image depends on itself" });
    if ((await this.#images.state(id)) === "complete") throw new RegistryError("IMAGE_EXISTS");
    const mark = (await this.#images.exists(id)) ? undefined : await this.#markInProgress(id);
    const before = await this.#documents.read(imageKey(id, "json"));
    if (before) await this.#documents.write(contestedKey(id), "true");
    if (before?.equals(bytes)) return;
    await this.#documents.write(imageKey(id, "ancestry"), pythonJson(ancestry));
    await this.#documents.write(imageKey(id, "json"), bytes);
    // Whoever else saw no JSON has marked the image after us, or finds our mark gone.
    const isOurs = (await this.#documents.read(imageKey(id, "_inprogress")))?.toString() === mark;
    if (mark !== undefined && !isOurs) await this.#documents.write(contestedKey(id), "true");
  }

  /**
   * Answers what the mark says, which tells it from those of other processes. One of them may have pushed the whole image
   * meanwhile: then its push counts and ours ends.
   */
  async #markInProgress(id: ImageId): Promise<string> {
    const mark = `true ${randomUUID()}`;
    await this.#documents.write(imageKey(id, "_inprogress"), mark);
    if ((await this.#documents.has(imageKey(id, "_checksum"))) && (await this.#images.exists(id))) {
      await this.#documents.delete(imageKey(id, "_inprogress"));
      throw new RegistryError("IMAGE_EXISTS");
    }
    return mark;
  }

  /**
   * Keeps a layer for an image in progress; its checksum decides later whether it counts. Repeatable. `withTarsum` also
   * computes what docker before 0.10 will claim. Resolves with the payload checksum. Rejects with IMAGE_UNKNOWN or
   * IMAGE_EXISTS, before it calls `source`.
   */
  async putLayer(id: ImageId, source: () => AsyncIterable<Uint8Array>, withTarsum: boolean): Promise<Digest> {
    const contested = await this.#requirePushable(id, "IMAGE_EXISTS");
    const json = await this.#images.json(id);
    const payload = new Hashing("sha256", Buffer.concat([json, Buffer.from("\n")]));
    const media = sniffMediaType(payload.through(source()));
    const blob = await this.#blobs.put(media.bytes);
    const payloadDigest = payload.digest();
    if (contested) {
      if (!(await this.#isTheLayer(id, payloadDigest))) throw new RegistryError("IMAGE_EXISTS");
      return payloadDigest;
    }
    const tarsum = withTarsum ? await this.#analysis.tarsum(json, await this.#blobs.open(blob.digest)) : undefined;
    const record: LayerRecord = {
      ...blob,
      mediaType: media.mediaType,
      payload: payloadDigest,
      json: digestOf(json),
      ...(tarsum !== undefined && { tarsum }),
    };
    await this.#documents.write(layerRecordKey(id, payloadDigest), JSON.stringify(record));
    // Now the system still has the layer in its memory.
    this.#layerFacts.prepare(blob.digest);
    return payloadDigest;
  }

  /** Whether it is one that was put, or the layer of an image of an old store. */
  async #isTheLayer(id: ImageId, payload: Digest): Promise<boolean> {
    if (await this.#documents.has(layerRecordKey(id, payload))) return true;
    return (await this.#images.checksums(id)).includes(payload);
  }

  /**
   * Completes the image when one of its layers is what the client claims. Rejects with IMAGE_UNKNOWN,
   * CHECKSUM_UNEXPECTED, LAYER_MISSING or CHECKSUM_MISMATCH; the image then stays in progress.
   */
  async putChecksum(id: ImageId, claimed: ClaimedChecksum): Promise<void> {
    await this.#turns.run(id, async () => {
      const done = await this.#requirePushable(id, "CHECKSUM_UNEXPECTED");
      if (done && (await this.#images.checksums(id)).includes(claimed.value)) return;
      const record = await this.#claimedLayer(id, claimed);
      if (done) return;
      const checksums = [record.payload, ...(record.tarsum === undefined ? [] : [record.tarsum])];
      await this.#documents.write(imageKey(id, "_checksum"), pythonJson(checksums));
      await this.#documents.delete(imageKey(id, "_files"), imageKey(id, "_diff"));
      await this.#documents.delete(imageKey(id, "_inprogress"));
    });
  }

  /**
   * Answers whether the image is complete already although its client may go on: several pushed it at the same time and
   * another was first. Rejects with IMAGE_UNKNOWN, or `otherwise` when the image was complete before the push began.
   */
  async #requirePushable(id: ImageId, otherwise: "IMAGE_EXISTS" | "CHECKSUM_UNEXPECTED"): Promise<boolean> {
    if (!(await this.#images.exists(id))) throw new RegistryError("IMAGE_UNKNOWN");
    if ((await this.#images.state(id)) === "inProgress") return false;
    if (!(await this.#documents.has(contestedKey(id)))) throw new RegistryError(otherwise);
    return true;
  }

  async #claimedLayer(id: ImageId, claimed: ClaimedChecksum): Promise<LayerRecord> {
    const json = digestOf(await this.#images.json(id));
    let any = false;
    for await (const { key } of this.#driver.list(layerRecordPrefix(id))) {
      const record = await this.#images.layerRecord(key);
      if (record?.json !== json) continue;
      any = true;
      if ((claimed.kind === "payload" ? record.payload : record.tarsum) === claimed.value) return record;
    }
    throw new RegistryError(any ? "CHECKSUM_MISMATCH" : "LAYER_MISSING");
  }
}

async function shown(): Promise<boolean> {
  return await Promise.resolve(true);
}
