import type { StorageDriver } from "../../../drivers/storage/driver.ts";
import { isNotFound } from "../../../drivers/storage/errors.ts";
import { RegistryError } from "../../errors.ts";
import type { Blobs } from "../blobs.ts";
import { digestOf, Hashing } from "../digest.ts";
import { isObject, type Documents } from "../documents.ts";
import type { Images } from "../images.ts";
import type { LayerAnalysis } from "../layers/analysis.ts";
import type { ImageId } from "../names.ts";
import { imageCheckKey, imageKey } from "../paths.ts";
import { parseExact } from "./exact-json.ts";
import type { LayerFacts } from "./layer-facts.ts";
import type { ProblemKind } from "./problems.ts";
import type { BridgeRecords } from "./records.ts";

/** Whether a layer is what the checksum beside it says; `unread` when nobody has looked. */
type Checksum = "right" | "differs" | "missing" | "unread";

/** What is the matter with one image of V1, whatever it is built on. */
export interface ImageCheck {
  /** Why it can't be pulled. */
  readonly broken?: { readonly kind: ProblemKind; readonly message: string };
  readonly checksum: Checksum;
}

/** How an image is looked at. */
export interface CheckOptions {
  /** `documents` reads no layer; `adopt` makes layers that it has read blobs too, and remembers what it has seen. */
  readonly depth: "documents" | "layers" | "adopt";
  readonly signal: AbortSignal;
  /** Told of the bytes of layers as they are read. */
  readonly onBytes: (count: number) => void;
}

/** The layer of an old store, and what is another when anything that was checked has changed. */
interface LayerFile {
  readonly key: string;
  readonly size: number;
  readonly json: Buffer;
  readonly checksums: readonly string[];
  readonly inputs: string;
}

/** Looks at images of V1: their documents, their layers, and whether these are what their checksums say. */
export class ImageChecks {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #blobs: Blobs;
  readonly #images: Images;
  readonly #facts: LayerFacts;
  readonly #records: BridgeRecords;
  readonly #analysis: LayerAnalysis;

  constructor(parts: {
    readonly driver: StorageDriver;
    readonly documents: Documents;
    readonly blobs: Blobs;
    /** Must not make images that are not there. */
    readonly images: Images;
    readonly layerFacts: LayerFacts;
    readonly records: BridgeRecords;
    readonly analysis: LayerAnalysis;
  }) {
    this.#driver = parts.driver;
    this.#documents = parts.documents;
    this.#blobs = parts.blobs;
    this.#images = parts.images;
    this.#facts = parts.layerFacts;
    this.#records = parts.records;
    this.#analysis = parts.analysis;
  }

  /** How many bytes `check` has to read of the image's layer: none of one that was checked before, or can't be pulled anyway. */
  async bytesToRead(id: ImageId): Promise<number> {
    const file = (await this.#images.state(id)) === "complete" ? await this.#file(id) : undefined;
    if (!file || !parseExact(file.json) || (await this.#known(id, file))) return 0;
    return hasOnlyTarsum(file) ? 2 * file.size : file.size;
  }

  /** Rejects as the storage does, or with the signal's reason. */
  async check(id: ImageId, options: CheckOptions): Promise<ImageCheck> {
    const state = await this.#images.state(id);
    // An image that was made of one of V2 is written when V1 clients ask for it.
    if (state !== "complete" && (await this.#records.source(id))) return { checksum: "right" };
    if (state === "absent") return broken("image-missing", `image ${id} is missing`);
    if (state === "inProgress") {
      return broken("push-unfinished", `the push of image ${id} never finished, or is going on`);
    }
    if (!parseExact(await this.#images.json(id)))
      return broken("document-damaged", `the JSON of image ${id} is damaged`);
    const accepted = await this.#images.acceptedLayer(id);
    if (accepted) {
      const isThere = (await this.#blobs.size(accepted.digest)) === accepted.size;
      return isThere ? { checksum: "right" } : missing(id);
    }
    const file = await this.#file(id);
    if (!file) return missing(id);
    const known = await this.#known(id, file);
    if (known) return known;
    if (options.depth === "documents") return { checksum: file.checksums.length === 0 ? "missing" : "unread" };
    const found =
      options.depth === "adopt" ? await this.#adopt(id, file, options) : await this.#read(id, file, options);
    options.signal.throwIfAborted();
    return found;
  }

  async #read(id: ImageId, file: LayerFile, options: CheckOptions): Promise<ImageCheck> {
    const payload = payloadOf(file);
    const layer = watched(await this.#driver.read(file.key), options);
    const examination = await this.#analysis.examine(payload.through(layer));
    if ("problem" in examination) return damaged(id, examination.problem);
    return { checksum: await this.#checksum(file, payload, options) };
  }

  async #adopt(id: ImageId, file: LayerFile, options: CheckOptions): Promise<ImageCheck> {
    const payload = payloadOf(file);
    const read = (layer: AsyncIterable<Uint8Array>) => payload.through(watched(layer, options));
    try {
      await this.#facts.adoptFile(file.key, read);
      // A server had read it before, when nobody asked for the checksum.
      if (payload.size !== file.size) await drained(read(await this.#driver.read(file.key)));
    } catch (error) {
      if (isNotFound(error)) return missing(id);
      if (!(error instanceof RegistryError) || error.code !== "LAYER_UNSUPPORTED") throw error;
      return await this.#keep(id, file, damaged(id, error.detail ?? error.message));
    }
    return await this.#keep(id, file, { checksum: await this.#checksum(file, payload, options) });
  }

  async #checksum(file: LayerFile, payload: Hashing, options: CheckOptions): Promise<Checksum> {
    const { checksums, json, key } = file;
    if (checksums.length === 0) return "missing";
    const digest = payload.digest();
    if (!hasOnlyTarsum(file)) return checksums.includes(digest) ? "right" : "differs";
    const tarsum = await this.#analysis.tarsum(json, watched(await this.#driver.read(key), options));
    return checksums.includes(tarsum) ? "right" : "differs";
  }

  async #file(id: ImageId): Promise<LayerFile | undefined> {
    const key = imageKey(id, "layer");
    const json = await this.#documents.read(imageKey(id, "json"));
    if (!json) return undefined;
    try {
      const [{ size, modified }, checksums] = await Promise.all([this.#driver.stat(key), this.#images.checksums(id)]);
      const inputs = [`${size} bytes of ${modified.toISOString()}`, digestOf(json), ...checksums].join(" ");
      return { key, size, json, checksums, inputs };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #known(id: ImageId, { inputs }: LayerFile): Promise<ImageCheck | undefined> {
    const value = await this.#documents.readJson(imageCheckKey(id));
    if (!isObject(value) || value["inputs"] !== inputs) return undefined;
    const { checksum, problem } = value;
    if (typeof problem === "string") return damaged(id, problem);
    return checksum === "right" || checksum === "differs" || checksum === "missing" ? { checksum } : undefined;
  }

  async #keep(
    id: ImageId,
    { inputs }: LayerFile,
    check: ImageCheck & { readonly problem?: string },
  ): Promise<ImageCheck> {
    const { checksum, problem } = check;
    await this.#documents.write(
      imageCheckKey(id),
      JSON.stringify({ inputs, ...(problem === undefined ? { checksum } : { problem }) }),
    );
    return check;
  }
}

function hasOnlyTarsum({ checksums }: LayerFile): boolean {
  return checksums.length > 0 && checksums.every((checksum) => checksum.startsWith("tarsum"));
}

function payloadOf({ json }: LayerFile): Hashing {
  return new Hashing("sha256", Buffer.concat([json, Buffer.from("\n")]));
}

async function* watched(
  layer: AsyncIterable<Uint8Array>,
  { signal, onBytes }: CheckOptions,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of layer) {
    signal.throwIfAborted();
    onBytes(chunk.length);
    yield chunk;
  }
}

async function drained(layer: AsyncGenerator<Uint8Array>): Promise<void> {
  while (!(await layer.next()).done);
}

function broken(kind: ProblemKind, message: string): ImageCheck {
  return { broken: { kind, message }, checksum: "unread" };
}

function missing(id: ImageId): ImageCheck {
  return broken("layer-missing", `the layer of image ${id} is missing`);
}

function damaged(id: ImageId, problem: string): ImageCheck & { readonly problem: string } {
  return { ...broken("layer-damaged", `the layer of image ${id} can't be read: ${problem}`), problem };
}
