import { LRUCache } from "lru-cache";
import { RegistryError } from "../../errors.ts";
import { isNotFound } from "../../../drivers/storage/errors.ts";
import { sourceOf } from "../../../drivers/storage/source-of.ts";
import type { Blobs } from "../blobs.ts";
import { digestOf, Hashing, type Digest } from "../digest.ts";
import { isObject, parseJson, type Documents } from "../documents.ts";
import type { ImagePush } from "../image-push.ts";
import type { Images } from "../images.ts";
import type { ReadableLayer } from "../layers/examination.ts";
import type { ImageId } from "../names.ts";
import { blobKey } from "../paths.ts";
import { emptyLayer, emptyTar } from "./empty-layer.ts";
import { parseImageManifest, type ImageManifest } from "./image-manifest.ts";
import type { LayerFacts } from "./layer-facts.ts";
import { platformManifest } from "./platform.ts";
import type { BridgeRecords, ImageSource } from "./records.ts";
import { SharedRuns } from "./shared-runs.ts";
import { untranslatable } from "./untranslatable.ts";
import type { V1ChainImage } from "./v1-chain.ts";

/** What a manifest is, without what else must be in the store. */
type Parsed = { readonly image: ImageManifest } | { readonly chosen: Digest } | { readonly problem: RegistryError };

/**
 * Gets what a manifest names and the store lacks, where there is somebody to get it from. Resolves also when it can't be
 * had.
 */
export type Bring = (manifest: Digest, kind: "manifest" | "blob", digest: Digest) => Promise<void>;

/** So many images are written at the same time; each reads its layer. */
const atOnce = 4;
/** An index in an index in an index … */
const deepest = 4;

/** Makes V1 images of manifests of V2: their ids when somebody asks what a tag names, the rest when an image is asked for. */
export class V1Translation {
  readonly #documents: Documents;
  readonly #blobs: Blobs;
  readonly #images: Images;
  readonly #push: ImagePush;
  readonly #facts: LayerFacts;
  readonly #records: BridgeRecords;
  readonly #platform: string;
  readonly #bring: Bring;
  readonly #parsed = new LRUCache<Digest, Parsed>({ max: 2_000 });
  readonly #runs = new SharedRuns<boolean>({ atOnce });

  /** `images` and `push` are those that ask nobody for images that aren't there; `platform` such as `linux/amd64`. */
  constructor(parts: {
    readonly documents: Documents;
    readonly blobs: Blobs;
    readonly images: Images;
    readonly push: ImagePush;
    readonly layerFacts: LayerFacts;
    readonly records: BridgeRecords;
    readonly platform: string;
    readonly bring: Bring;
  }) {
    this.#documents = parts.documents;
    this.#blobs = parts.blobs;
    this.#images = parts.images;
    this.#push = parts.push;
    this.#facts = parts.layerFacts;
    this.#records = parts.records;
    this.#platform = parts.platform;
    this.#bring = parts.bring;
  }

  /**
   * The last image of the chain that shows the manifest: the one that it was made of, or one that is derived; nothing of
   * that one but its id is there then. Of an index it is the image of the platform. Rejects with IMAGE_UNTRANSLATABLE.
   */
  async imageOf(manifest: Digest, depth = deepest): Promise<ImageId> {
    const known = await this.#records.imageOf(manifest);
    if (known) return known.image;
    const parsed = await this.#parse(manifest);
    if ("problem" in parsed) throw parsed.problem;
    if ("chosen" in parsed) {
      if (depth === 0) throw untranslatable("its indexes name each other");
      await this.#require(manifest, "manifest", parsed.chosen);
      return await this.imageOf(parsed.chosen, depth - 1);
    }
    const chain = await this.#chain(manifest, parsed.image);
    const { id } = at(chain, chain.length - 1);
    await this.#keepSources(manifest, chain, chain.length - 1);
    await this.#records.keepImageOf(manifest, { image: id, origin: "derived" });
    return id;
  }

  /**
   * Writes the documents of an image that was derived; those below it become known, and are written when they are asked
   * for. Answers whether the image is complete then; false when it is none of ours. Rejects with IMAGE_UNTRANSLATABLE.
   */
  async materialise(id: ImageId): Promise<boolean> {
    const source = await this.#records.source(id);
    return source !== undefined && (await this.#runs.run(id, async () => await this.#write(id, source)));
  }

  async #write(id: ImageId, { manifest, position }: ImageSource): Promise<boolean> {
    const parsed = await this.#parse(manifest).catch(absent);
    if (!parsed || !("image" in parsed)) return false;
    const chain = await this.#chain(manifest, parsed.image);
    const image = at(chain, position);
    if (image.id !== id) throw new Error(`The image ${position} of ${manifest} should be ${id}, and is ${image.id}`);
    await this.#keepSources(manifest, chain, 0, position);
    await this.#require(manifest, "blob", image.layer.digest);
    const layer = await this.#layer(image);
    const bytes = image.json(layer.unpackedSize);
    const payload = await this.#payload(bytes, layer.digest);
    const ancestry = chain.slice(0, position + 1).map((ancestor) => ancestor.id);
    await this.#push.putWhole({ id, parent: image.parent, bytes }, ancestry.reverse(), {
      digest: layer.digest,
      size: layer.size,
      mediaType: layer.mediaType,
      payload: payload.digest,
      json: payload.json,
    });
    return true;
  }

  /** Remembered, because what is at a digest never changes. Rejects only when the manifest is not there. */
  async #parse(digest: Digest): Promise<Parsed> {
    const known = this.#parsed.get(digest);
    if (known) return known;
    const bytes = await this.#documents.read(blobKey(digest));
    if (!bytes) throw untranslatable(`its manifest ${digest} is not in this registry`);
    const parsed = parse(bytes, this.#platform);
    this.#parsed.set(digest, parsed);
    return parsed;
  }

  async #require(manifest: Digest, kind: "manifest" | "blob", digest: Digest): Promise<void> {
    if (digest !== emptyLayer.digest && !(await this.#blobs.has(digest))) await this.#bring(manifest, kind, digest);
  }

  async #chain(manifest: Digest, image: ImageManifest): Promise<readonly V1ChainImage[]> {
    await this.#require(manifest, "blob", image.config.digest);
    const config = await this.#documents.read(blobKey(image.config.digest));
    if (!config) throw untranslatable(`its configuration ${image.config.digest} is not in this registry`);
    // Few servers are asked by clients of both protocols: what they alone need is loaded when it is needed.
    return (await import("./v1-chain.ts")).v1ChainOf(image, config);
  }

  /** Lets the images of the chain between two positions be found by their ids. Those that were pushed stay what they are. */
  async #keepSources(
    manifest: Digest,
    chain: readonly V1ChainImage[],
    start: number,
    end = chain.length,
  ): Promise<void> {
    for (let position = start; position < end; position++) {
      const { id } = at(chain, position);
      const [source, isThere] = await Promise.all([this.#records.source(id), this.#images.exists(id)]);
      if (source || isThere) continue;
      await this.#records.keepSource(id, { manifest, position, isTop: position === chain.length - 1 });
    }
  }

  /** The layer as V1 clients can read it. */
  async #layer({ layer }: V1ChainImage): Promise<ReadableLayer & { readonly mediaType: string }> {
    if (layer.digest === emptyLayer.digest && !(await this.#blobs.has(emptyLayer.digest))) {
      await this.#blobs.putAs(emptyLayer.digest, sourceOf(emptyTar), emptyTar.length);
    }
    try {
      const facts = await this.#facts.of(layer.digest);
      if (facts.compression !== "zstd") return { ...facts, mediaType: layer.mediaType };
      return { ...facts, ...(await this.#facts.gzipOf(layer.digest)) };
    } catch (error) {
      throw told(error, layer.digest);
    }
  }

  /** sha256 of the JSON, a newline and the layer, as V1 has it; and of the JSON alone. */
  async #payload(json: Buffer, layer: Digest): Promise<{ readonly digest: Digest; readonly json: Digest }> {
    const hashing = new Hashing("sha256", Buffer.concat([json, Buffer.from("\n")]));
    try {
      const bytes = hashing.through((await this.#blobs.open(layer)) as AsyncIterable<Uint8Array>);
      while (!(await bytes.next()).done);
    } catch (error) {
      throw told(error, layer);
    }
    return { digest: hashing.digest(), json: digestOf(json) };
  }
}

function parse(bytes: Buffer, platform: string): Parsed {
  try {
    const value = parseJson(bytes);
    const isIndex = isObject(value) && Array.isArray(value["manifests"]);
    return isIndex ? { chosen: platformManifest(bytes, platform).digest } : { image: parseImageManifest(bytes) };
  } catch (error) {
    if (error instanceof RegistryError && error.code === "IMAGE_UNTRANSLATABLE") return { problem: error };
    throw error;
  }
}

function at(chain: readonly V1ChainImage[], position: number): V1ChainImage {
  const image = chain[position];
  if (!image) throw new Error(`A chain of ${chain.length} images has none at ${position}`);
  return image;
}

function told(error: unknown, layer: Digest): unknown {
  if (isNotFound(error) || (error instanceof RegistryError && error.code === "BLOB_UNKNOWN")) {
    return untranslatable(`its layer ${layer} is not in this registry`);
  }
  if (!(error instanceof RegistryError) || error.code !== "LAYER_UNSUPPORTED") return error;
  return untranslatable(`its layer ${layer} can't be read: ${error.detail ?? error.message}`);
}

function absent(error: unknown): undefined {
  if (error instanceof RegistryError && error.code === "IMAGE_UNTRANSLATABLE") return undefined;
  throw error;
}
