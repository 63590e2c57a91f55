import type { StorageDriver } from "../../../drivers/storage/driver.ts";
import { RegistryError } from "../../errors.ts";
import type { Blobs } from "../blobs.ts";
import { digestParts, isDigest, type Algorithm, type Descriptor, type Digest } from "../digest.ts";
import { isObject, type Documents } from "../documents.ts";
import type { LayerAnalysis } from "../layers/analysis.ts";
import { isExamination, type Examination, type ReadableLayer } from "../layers/examination.ts";
import { unsupported } from "../layers/unsupported.ts";
import { adoptedKey, blobKey, layerFactsKey } from "../paths.ts";
import { ociLayerTypes } from "./layer-types.ts";

/** A blob that stands for a layer, and the digest of the layer's archive. */
export interface OciLayer extends Descriptor {
  readonly diffId: Digest;
}

/**
 * What the bridge has to know of layers. Each is read once, whoever asks at the same time, one after the other; what was
 * found stays in the store, also that it can't be read. What the storage fails with is not remembered.
 */
export class LayerFacts {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;
  readonly #blobs: Blobs;
  readonly #analysis: LayerAnalysis;
  readonly #examining = new Map<string, Promise<Examination>>();
  readonly #repacking = new Map<string, Promise<StoredGzip>>();

  constructor(parts: {
    readonly driver: StorageDriver;
    readonly documents: Documents;
    readonly blobs: Blobs;
    readonly analysis: LayerAnalysis;
  }) {
    this.#driver = parts.driver;
    this.#documents = parts.documents;
    this.#blobs = parts.blobs;
    this.#analysis = parts.analysis;
  }

  /**
   * The facts of the layer that is the blob. Rejects with LAYER_UNSUPPORTED, which says why; with BLOB_UNKNOWN when
   * neither facts nor blob are there; with a fault when the blob is not what its digest says.
   */
  async of(digest: Digest): Promise<ReadableLayer> {
    const record = await this.#record(digest);
    return readable(
      record?.layer ?? (await once(this.#examining, digest, async () => await this.#examineBlob(digest))),
    );
  }

  /** Keeps facts that the caller knows, so that nobody has to read the layer for them. */
  async record(digest: Digest, layer: ReadableLayer): Promise<void> {
    if ((await this.#record(digest)) === undefined) await this.#write(digest, { layer });
  }

  /**
   * Finds the facts of a blob beside other work, unless so many wait for theirs that it is better done when somebody asks.
   * Whoever asks later is told of what failed.
   */
  prepare(digest: Digest): void {
    if (this.#examining.size < mostPrepared) this.of(digest).catch(() => undefined);
  }

  /**
   * The blob that an OCI manifest can name for the layer: the layer itself with gzip or plain; another one in the place of
   * xz, bzip2, zstd, or no byte. Rejects like `of`.
   */
  async ociLayer(digest: Digest): Promise<OciLayer> {
    const { compression, size, diffId } = await this.of(digest);
    if (compression !== "none" || size === 0) return await this.gzipOf(digest);
    return { digest, size, mediaType: ociLayerTypes.none, diffId };
  }

  /**
   * The layer with gzip: the blob itself where it is, else one that is made once and has the same digest in every
   * registry; it is made again when it has been lost. Rejects like `of`.
   */
  async gzipOf(digest: Digest): Promise<OciLayer> {
    const { compression, size, diffId } = await this.of(digest);
    if (compression === "gzip") return { digest, size, mediaType: ociLayerTypes.gzip, diffId };
    const known = (await this.#record(digest))?.gzip;
    const isThere = known && (await this.#blobs.size(known.digest)) === known.size;
    const gzip = isThere ? known : await once(this.#repacking, digest, async () => await this.#makeGzip(digest));
    return { ...gzip, mediaType: ociLayerTypes.gzip, diffId };
  }

  /**
   * Makes the file of an old store at `key` a blob too, without a second copy where the storage can share it; the file
   * stays as it is. It is read once, as long as it does not change; `through` sees what is read. Rejects with
   * LAYER_UNSUPPORTED, with the driver's NOT_FOUND, or with a fault when it changes meanwhile.
   */
  async adoptFile(key: string, through: Passing = unseen): Promise<ReadableLayer> {
    return readable(await once(this.#examining, key, async () => await this.#adopt(key, through)));
  }

  async #adopt(key: string, through: Passing): Promise<Examination> {
    const file = await this.#identity(key);
    const known = await this.#adopted(key, file);
    const layer = known ?? (await this.#examine(async () => through(await this.#driver.read(key)), "sha256"));
    if (known === undefined && (await this.#identity(key)) !== file)
      throw new Error(`${key} changed while it was read`);
    if (isReadable(layer)) await this.#blobs.share(key, layer.digest, layer.size);
    if (known === undefined) {
      if ((await this.#record(layer.digest)) === undefined) await this.#write(layer.digest, { layer });
      await this.#documents.write(adoptedKey(key), JSON.stringify({ digest: layer.digest, file }));
    }
    return layer;
  }

  /** What was found in the file before, if it is still the same. */
  async #adopted(key: string, file: string): Promise<Examination | undefined> {
    const value = await this.#documents.readJson(adoptedKey(key));
    if (!isObject(value) || value["file"] !== file || typeof value["digest"] !== "string") return undefined;
    return isDigest(value["digest"]) ? (await this.#record(value["digest"]))?.layer : undefined;
  }

  /** What is another when an object has been changed. */
  async #identity(key: string): Promise<string> {
    const { size, modified } = await this.#driver.stat(key);
    return `${size} bytes of ${modified.toISOString()}`;
  }

  async #examineBlob(digest: Digest): Promise<Examination> {
    if (!(await this.#blobs.has(digest))) throw new RegistryError("BLOB_UNKNOWN", { detail: digest });
    const blob = await this.#identity(blobKey(digest));
    const value = await this.#documents.readJson(layerFactsKey(digest));
    if (isObject(value) && value["damaged"] === blob) throw damaged(digest);
    const layer = await this.#examine(async () => await this.#blobs.open(digest), digestParts(digest).algorithm);
    if (layer.digest !== digest) {
      await this.#documents.write(layerFactsKey(digest), JSON.stringify({ damaged: blob }));
      throw damaged(digest);
    }
    await this.#write(digest, { layer });
    return layer;
  }

  async #makeGzip(digest: Digest): Promise<StoredGzip> {
    const layer = await this.of(digest);
    if (!(await this.#blobs.has(digest))) throw new RegistryError("BLOB_UNKNOWN", { detail: digest });
    const gzip = await this.#blobs.put(this.#analysis.repack(opened(async () => await this.#blobs.open(digest))));
    await this.record(gzip.digest, { ...layer, ...gzip, compression: "gzip" });
    await this.#write(digest, { layer, gzip });
    return gzip;
  }

  async #examine(open: () => Promise<AsyncIterable<Uint8Array>>, algorithm: Algorithm): Promise<Examination> {
    return await this.#analysis.examine(opened(open), algorithm);
  }

  async #record(digest: Digest): Promise<FactsRecord | undefined> {
    const value = await this.#documents.readJson(layerFactsKey(digest));
    if (!isObject(value) || !isExamination(value["layer"])) return undefined;
    // What this version can't read, a later one may.
    if (!isReadable(value["layer"]) && value["reader"] !== reader) return undefined;
    return { layer: value["layer"], ...(isGzip(value["gzip"]) && { gzip: value["gzip"] }) };
  }

  async #write(digest: Digest, record: FactsRecord): Promise<void> {
    await this.#documents.write(layerFactsKey(digest), JSON.stringify({ reader, ...record }));
  }
}

/** What the bytes of a layer pass on their way to whoever reads it. */
export type Passing = (layer: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

const unseen: Passing = (layer) => layer;

/** Lets those who ask for the same thing at the same time share one run. */
async function once<T>(running: Map<string, Promise<T>>, name: string, work: () => Promise<T>): Promise<T> {
  let run = running.get(name);
  if (!run) {
    run = work().finally(() => running.delete(name));
    running.set(name, run);
  }
  return await run;
}

/** What of layers this version can read; it goes up when that becomes more. */
const reader = 1;

const mostPrepared = 100;

type StoredGzip = Pick<Descriptor, "digest" | "size">;

interface FactsRecord {
  readonly layer: Examination;
  readonly gzip?: StoredGzip;
}

function isReadable(layer: Examination): layer is ReadableLayer {
  return "diffId" in layer;
}

function readable(layer: Examination): ReadableLayer {
  if (isReadable(layer)) return layer;
  throw unsupported(layer.problem);
}

function isGzip(value: unknown): value is StoredGzip {
  if (!isObject(value)) return false;
  return typeof value["digest"] === "string" && isDigest(value["digest"]) && Number.isSafeInteger(value["size"]);
}

function damaged(digest: Digest): Error {
  return new Error(`The blob ${digest} is damaged: its content has another digest`);
}

/** The stream that `open` answers, opened when it is first read: an examination may wait for its turn before that. */
async function* opened(open: () => Promise<AsyncIterable<Uint8Array>>): AsyncGenerator<Uint8Array> {
  yield* await open();
}
