import { RegistryError } from "../../errors.ts";
import { digestOf, type Digest } from "../../registry/digest.ts";
import { isObject, parseJson } from "../../registry/documents.ts";
import type { LayerRecord } from "../../registry/images.ts";
import type { ImageId } from "../../registry/names.ts";
import { blobKey, imageKey, imageSourceKey, layerRecordKey } from "../../registry/paths.ts";
import type { BlobCopy } from "./blobs.ts";
import { LayerFileCopy } from "./layer-files.ts";
import { NotCopied, settled } from "./not-copied.ts";
import { Outcomes } from "./outcomes.ts";
import type { CopyParts } from "./parts.ts";
import { soundManifest } from "./sound-manifest.ts";

/** Outcomes that are remembered: the images of a chain are those of many tags. */
const remembered = 20_000;

/** What is left to do for an image once its layer is there. */
type Rest = (() => Promise<void>) | undefined;

interface ImageParts extends CopyParts {
  readonly blobs: BlobCopy;
}

/**
 * Copies images of V1, each with all that it is built on: layers first, then the documents, of which the JSON is the last.
 * An image is not there before that.
 */
export class ImageCopy {
  readonly #parts: ImageParts;
  readonly #outcomes = new Outcomes<ImageId, void>(remembered);
  readonly #layers = new Outcomes<ImageId, Rest>(remembered);
  readonly #files: LayerFileCopy;

  constructor(parts: ImageParts) {
    this.#parts = parts;
    this.#files = new LayerFileCopy(parts);
  }

  /** Afterwards the target has the image and all that it is built on. Rejects with `NotCopied`; what is whole is copied. */
  async ensure(id: ImageId): Promise<void> {
    await this.#outcomes.of(id, async () => {
      await this.#ensure(id);
    });
  }

  async #ensure(id: ImageId): Promise<void> {
    const chain = (await this.#chain(id)).toReversed();
    const layers = chain.map(async (each) => await this.#layer(each));
    // Base first: nobody is to find an image that is built on nothing.
    for (const layer of await Promise.allSettled(layers)) {
      if (layer.status === "rejected") break;
      await layer.value?.();
    }
    await settled(layers);
  }

  async #chain(id: ImageId): Promise<readonly ImageId[]> {
    try {
      return await this.#parts.from.images.ancestry(id);
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== "IMAGE_UNKNOWN") throw error;
    }
    // One that was derived of a manifest, and nobody has asked for yet.
    if (await this.#parts.from.records.source(id)) return [id];
    throw new NotCopied("image-missing", `image ${id}, or one that it is built on, is missing`, { image: id });
  }

  async #layer(id: ImageId): Promise<Rest> {
    return await this.#layers.of(id, async () => await this.#copyLayer(id));
  }

  async #copyLayer(id: ImageId): Promise<Rest> {
    const { images, records, documents } = this.#parts.from;
    const [state, source] = await Promise.all([images.state(id), records.source(id)]);
    if (state !== "complete" && source) {
      await this.#derivation(id, source.manifest);
      return undefined;
    }
    if (state === "absent") throw new NotCopied("image-missing", `image ${id} is missing`, { image: id });
    if (state === "inProgress") {
      throw new NotCopied("push-abandoned", `the push of image ${id} never finished, or is going on`, { image: id });
    }
    const [accepted, file, json] = await Promise.all([
      images.acceptedLayer(id),
      documents.size(imageKey(id, "layer")),
      images.json(id),
    ]);
    if ((accepted && accepted.json !== digestOf(json)) || !isObject(parseJson(json))) {
      throw new NotCopied("document-damaged", `the JSON of image ${id} is damaged`, { image: id });
    }
    const isThere = await this.#isThere(id);
    if (accepted) {
      await this.#parts.blobs.ensure(accepted.digest);
    } else if (file === undefined) {
      throw new NotCopied("layer-missing", `the layer of image ${id} is missing`, { image: id });
    } else if (!isThere || (this.#parts.verify && (await this.#parts.to.documents.has(imageKey(id, "layer"))))) {
      await this.#files.ensure(id, file, json);
    } else {
      this.#parts.tally.blobs.there++;
    }
    if (isThere) {
      this.#parts.tally.images.there++;
      return undefined;
    }
    return once(async () => {
      await this.#documents(id, accepted, json);
    });
  }

  /** Whether the target has the image, with a layer of whichever kind. */
  async #isThere(id: ImageId): Promise<boolean> {
    const { images, documents } = this.#parts.to;
    if ((await images.state(id)) !== "complete") return false;
    const accepted = await images.acceptedLayer(id);
    return accepted
      ? (await documents.size(blobKey(accepted.digest))) === accepted.size
      : await documents.has(imageKey(id, "layer"));
  }

  /** An image that is made of a manifest when somebody asks for it: the manifest, and that it is. */
  async #derivation(id: ImageId, manifest: Digest): Promise<void> {
    const { blobs } = await soundManifest(this.#parts.from.documents, manifest);
    await this.#parts.blobs.ensureAll(blobs);
    await this.#parts.blobs.ensure(manifest);
    await this.#copyDocument(imageSourceKey(id));
  }

  async #documents(id: ImageId, accepted: LayerRecord | undefined, json: Buffer): Promise<void> {
    if (accepted) await this.#copyDocument(layerRecordKey(id, accepted.payload));
    await this.#copyDocument(imageKey(id, "_checksum"));
    await this.#copyDocument(imageSourceKey(id));
    await this.#copyDocument(imageKey(id, "ancestry"));
    await this.#parts.sink.document(imageKey(id, "json"), json);
    this.#parts.tally.images.copied++;
  }

  async #copyDocument(key: string): Promise<void> {
    const [bytes, there] = await Promise.all([
      this.#parts.from.documents.read(key),
      this.#parts.to.documents.read(key),
    ]);
    if (bytes && !there?.equals(bytes)) await this.#parts.sink.document(key, bytes);
  }
}

/** Runs the work for the first who asks, and lets all others wait for that. */
function once(work: () => Promise<void>): () => Promise<void> {
  let run: Promise<void> | undefined;
  return async () => {
    run ??= work();
    await run;
  };
}
