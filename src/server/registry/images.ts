import type { Readable } from "node:stream";
import type { ByteRange, StorageDriver } from "../../drivers/storage/driver.ts";
import { RegistryError } from "../errors.ts";
import { digestOf, isDigest, type Descriptor, type Digest } from "./digest.ts";
import { isObject, parseJson, type Documents } from "./documents.ts";
import { isImageId, type ImageId } from "./names.ts";
import { blobKey, imageKey, layerRecordKey } from "./paths.ts";

/** Where an image stands: a push makes it `inProgress`, its accepted checksum `complete`. */
export type ImageState = "absent" | "inProgress" | "complete";

/** A layer's bytes as they were pushed. */
export interface Layer {
  readonly size: number;
  /** Its object in the store, for front ends that send it in our place. */
  readonly key: string;
  readonly open: (range?: ByteRange) => Promise<Readable>;
  /** A URL of the store that answers the bytes for some minutes, or undefined. */
  readonly redirectUrl: () => Promise<URL | undefined>;
  /** The file on this machine that holds the bytes, or undefined. */
  readonly localPath: string | undefined;
}

/** What is told of an image, once it is known to be there. */
export type ImageView = Pick<Images, "json" | "ancestry" | "checksums" | "layer">;

/** A layer that was put for an image: the blob, and what a checksum may say of it. */
export interface LayerRecord extends Descriptor {
  /** sha256 of the image's JSON, a newline and the layer. */
  readonly payload: Digest;
  /** Digest of the image's JSON that `payload` was computed with. */
  readonly json: Digest;
  /** Only where the client was docker before 0.10. */
  readonly tarsum?: string;
}

/** Long enough for a slow client to begin, short enough that a leaked URL is soon worthless. */
const redirectSeconds = 1200;

/**
 * Makes the image if it is one that the registry has in another form; answers whether it is complete then. Rejects with
 * IMAGE_UNTRANSLATABLE when it can't be made.
 */
export type Materialise = (id: ImageId) => Promise<boolean>;

/** Reads V1 images, whichever version of whichever registry wrote them. Pushing is `ImagePush`. */
export class Images {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #materialise: Materialise;

  /** `materialise` is asked for images that are not there, or not complete. */
  constructor(driver: StorageDriver, documents: Documents, materialise: Materialise = nothingElse) {
    this.#driver = driver;
    this.#documents = documents;
    this.#materialise = materialise;
  }

  /**
   * An image is in progress from the first byte of its push, before it exists, so that nothing half is ever read. The
   * checksum that names its layer ends that; the mark is removed after it, and counts no more when that was cut short.
   */
  async state(id: ImageId): Promise<ImageState> {
    const state = await this.#storedState(id);
    return state !== "complete" && (await this.#materialise(id)) ? "complete" : state;
  }

  async #storedState(id: ImageId): Promise<ImageState> {
    if (await this.#documents.has(imageKey(id, "_inprogress"))) {
      return (await this.#isCommitted(id)) ? "complete" : "inProgress";
    }
    return (await this.#documents.has(imageKey(id, "json"))) ? "complete" : "absent";
  }

  /** Rejects with IMAGE_IN_PROGRESS or IMAGE_UNKNOWN. */
  async requireComplete(id: ImageId): Promise<void> {
    const state = await this.state(id);
    if (state === "inProgress") throw new RegistryError("IMAGE_IN_PROGRESS");
    if (state === "absent") throw new RegistryError("IMAGE_UNKNOWN");
  }

  /** Whether the image may be tagged or be a parent: its JSON is there, its push may still be going on. */
  async exists(id: ImageId): Promise<boolean> {
    return (await this.#documents.has(imageKey(id, "json"))) || (await this.#materialise(id));
  }

  /** The JSON document, byte for byte. Rejects with IMAGE_UNKNOWN. */
  async json(id: ImageId): Promise<Buffer> {
    const bytes = await this.#documents.read(imageKey(id, "json"));
    if (!bytes) throw new RegistryError("IMAGE_UNKNOWN");
    return bytes;
  }

  /** The ids from the image down to its base. Stores of crashed registries lack the document: it is walked instead. */
  async ancestry(id: ImageId): Promise<readonly ImageId[]> {
    const chain: ImageId[] = [];
    for (let next: unknown = id; isImageId(next) && !chain.includes(next);) {
      const stored = await this.#documents.readJson(imageKey(next, "ancestry"));
      if (Array.isArray(stored) && stored[0] === next && stored.every(isImageId)) return [...chain, ...stored];
      chain.push(next);
      const json = parseJson(await this.json(next));
      next = isObject(json) ? json["parent"] : undefined;
    }
    return chain;
  }

  /** Checksums as stored: `sha256:…` of the payload, `tarsum+sha256:…`, or none. What is no checksum is left out. */
  async checksums(id: ImageId): Promise<readonly string[]> {
    const bytes = await this.#documents.read(imageKey(id, "_checksum"));
    if (!bytes) return [];
    const value = parseJson(bytes);
    const stored: readonly unknown[] = Array.isArray(value) ? value : [bytes.toString("latin1").trim()];
    return stored.filter((text): text is string => typeof text === "string" && /^[\w+.-]+:[0-9a-f]+$/.test(text));
  }

  /** The layer that the accepted checksum names, else the old registry's file. Rejects with IMAGE_UNKNOWN. */
  async layer(id: ImageId): Promise<Layer> {
    const record = await this.acceptedLayer(id);
    if (record) return this.#layerAt(blobKey(record.digest), record.size);
    const size = await this.#documents.size(imageKey(id, "layer"));
    if (size === undefined) throw new RegistryError("IMAGE_UNKNOWN");
    return this.#layerAt(imageKey(id, "layer"), size);
  }

  /** The record at `key`, or undefined. */
  async layerRecord(key: string): Promise<LayerRecord | undefined> {
    const value = await this.#documents.readJson(key);
    return isLayerRecord(value) ? value : undefined;
  }

  /** The Python registry wrote checksums while images were in progress, but it left no records of layers. */
  async #isCommitted(id: ImageId): Promise<boolean> {
    const record = await this.acceptedLayer(id);
    const json = record && (await this.#documents.read(imageKey(id, "json")));
    return json !== undefined && record?.json === digestOf(json);
  }

  /** The layer that the accepted checksum names; undefined for images of old stores, whose layer is a file. */
  async acceptedLayer(id: ImageId): Promise<LayerRecord | undefined> {
    for (const checksum of await this.checksums(id)) {
      const record = isDigest(checksum) ? await this.layerRecord(layerRecordKey(id, checksum)) : undefined;
      if (record) return record;
    }
    return undefined;
  }

  #layerAt(key: string, size: number): Layer {
    return {
      key,
      size,
      open: async (range) => await this.#driver.read(key, range),
      redirectUrl: async () =>
        await this.#driver.redirectUrl(key, { seconds: redirectSeconds, contentType: "application/octet-stream" }),
      localPath: this.#driver.localPath(key),
    };
  }
}

async function nothingElse(): Promise<boolean> {
  return await Promise.resolve(false);
}

function isLayerRecord(value: unknown): value is LayerRecord {
  if (!isObject(value)) return false;
  const digests = [value["digest"], value["payload"], value["json"]];
  return digests.every((text) => typeof text === "string" && isDigest(text)) && typeof value["size"] === "number";
}
