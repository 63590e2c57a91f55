import { RegistryError } from "../../errors.ts";
import type { Digest } from "../digest.ts";
import { isObject, parseJson, type Documents } from "../documents.ts";
import type { Images } from "../images.ts";
import type { ImageId } from "../names.ts";
import { blobKey } from "../paths.ts";
import { parseImageManifest } from "./image-manifest.ts";
import { platformManifest } from "./platform.ts";
import type { BridgeRecords } from "./records.ts";
import { v1ChainOf } from "./v1-chain.ts";

/** One image of a chain, without its layer. */
export interface ViewedImage {
  readonly id: ImageId;
  readonly size: number | undefined;
  readonly document: Readonly<Record<string, unknown>>;
}

/** Shows images of V1 to those who only look: unlike for clients, nothing is written for it, and no layer is read. */
export class ImageViews {
  readonly #documents: Documents;
  readonly #images: Images;
  readonly #records: BridgeRecords;
  readonly #platform: string;

  constructor(parts: {
    readonly documents: Documents;
    /** Must not make images that are not there. */
    readonly images: Images;
    readonly records: BridgeRecords;
    /** Which image of an index is shown. */
    readonly platform: string;
  }) {
    this.#documents = parts.documents;
    this.#images = parts.images;
    this.#records = parts.records;
    this.#platform = parts.platform;
  }

  /** An image of the store and its ancestors, itself first. Rejects with IMAGE_UNKNOWN or IMAGE_IN_PROGRESS. */
  async ofImage(id: ImageId): Promise<readonly ViewedImage[]> {
    const source = (await this.#images.exists(id)) ? undefined : await this.#records.source(id);
    if (source) return await this.ofManifest(source.manifest);
    await this.#images.requireComplete(id);
    const chain = await this.#images.ancestry(id);
    return await Promise.all(chain.map(async (each) => await this.#stored(each)));
  }

  /** The images that a manifest of V2 is in V1. Rejects with IMAGE_UNTRANSLATABLE, or MANIFEST_UNKNOWN. */
  async ofManifest(digest: Digest): Promise<readonly ViewedImage[]> {
    const known = await this.#records.imageOf(digest);
    if (known?.origin === "pushed") return await this.ofImage(known.image);
    const bytes = await this.#documents.read(blobKey(digest));
    if (!bytes) throw new RegistryError("MANIFEST_UNKNOWN", { detail: digest });
    const value = parseJson(bytes);
    if (isObject(value) && Array.isArray(value["manifests"])) {
      return await this.ofManifest(platformManifest(bytes, this.#platform).digest);
    }
    const image = parseImageManifest(bytes);
    const config = await this.#documents.read(blobKey(image.config.digest));
    const chain = v1ChainOf(image, config ?? Buffer.alloc(0));
    return chain.map(({ id, layer, json }) => ({ id, size: layer.size, document: parsed(json(0)) })).reverse();
  }

  async #stored(id: ImageId): Promise<ViewedImage> {
    const [json, layer] = await Promise.all([this.#images.json(id), this.#images.layer(id).catch(absent)]);
    return { id, size: layer?.size, document: parsed(json) };
  }
}

function parsed(json: Buffer): Readonly<Record<string, unknown>> {
  const value = parseJson(json);
  return isObject(value) ? value : {};
}

function absent(error: unknown): undefined {
  if (error instanceof RegistryError && error.code === "IMAGE_UNKNOWN") return undefined;
  throw error;
}
