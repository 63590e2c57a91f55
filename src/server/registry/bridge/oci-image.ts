import { digestOf, type Descriptor, type Digest } from "../digest.ts";
import { ociManifest } from "../manifest.ts";
import type { ImageId } from "../names.ts";
import { isEmptyTar } from "./empty-layer.ts";
import { canonicalJson, parseExact, type JsonObject } from "./exact-json.ts";
import { commandOf, imageDocument, type ImageDocument } from "./image-document.ts";
import { layerCompression, ociLayerTypes } from "./layer-types.ts";
import { untranslatable } from "./untranslatable.ts";

/** One image of a V1 chain: its stored JSON and its layer. */
export interface V1ImageSource {
  readonly id: ImageId;
  readonly json: Uint8Array;
  /** `diffId` is the digest of the tar archive, unpacked. */
  readonly layer: Descriptor & { readonly diffId: Digest };
}

/** A document that an image is made of, and its address. */
export interface ImageBlob extends Descriptor {
  readonly bytes: Buffer;
}

/** An image in the OCI format. */
export interface OciImage {
  readonly manifest: ImageBlob;
  readonly config: ImageBlob;
  /** As the manifest has them, base first; the blobs are those of the V1 layers. */
  readonly layers: readonly Descriptor[];
}

/**
 * The V1 image that ends `chain` (base first) as docker 1.10 migrated its own: the configuration of the last image, a
 * history with an entry for each, and their layers as they are. Docker's empty layers are in the history alone, unless
 * there is no other. The same chain always gives the same bytes. Rejects with IMAGE_UNTRANSLATABLE when a JSON is
 * damaged; that every layer is a plain or gzipped tar is the caller's to see to.
 */
export function ociImageOf(chain: readonly V1ImageSource[]): OciImage {
  const documents = chain.map(documentOf);
  const top = documents.at(-1);
  if (!top) throw new Error("A chain of V1 images has at least one");
  const isKept = keptLayers(chain);
  const kept = chain.filter((_, index) => isKept[index]).map(({ layer }) => layer);
  const history = documents.map((document, index) => historyEntry(document, isKept[index] !== true));
  const rootfs = { type: "layers", diff_ids: kept.map(({ diffId }) => diffId) };
  const config = imageBlob("application/vnd.oci.image.config.v1+json", { ...top, rootfs, history });
  const layers = kept.map(ociLayer);
  const manifest = imageBlob(ociManifest, {
    schemaVersion: 2,
    mediaType: ociManifest,
    config: { mediaType: config.mediaType, digest: config.digest, size: config.size },
    layers,
  });
  return { manifest, config, layers };
}

function documentOf({ id, json }: V1ImageSource): ImageDocument {
  const document = parseExact(json);
  if (!document) throw untranslatable(`the JSON of image ${id} is damaged`);
  return imageDocument(document);
}

/** For each image whether its layer is one of the OCI image; podman and others cannot pull one without layers. */
function keptLayers(chain: readonly V1ImageSource[]): readonly boolean[] {
  const full = chain.map(({ layer }) => !isEmptyTar(layer.diffId));
  return full.includes(true) ? full : chain.map((_, index) => index === 0);
}

function historyEntry({ created, author, comment, container_config }: ImageDocument, isEmpty: boolean): JsonObject {
  const command = commandOf(container_config).join(" ");
  return {
    created,
    author: author === "" ? undefined : author,
    created_by: command === "" ? undefined : command,
    comment: comment === "" ? undefined : comment,
    empty_layer: isEmpty ? true : undefined,
  };
}

function ociLayer({ digest, size, mediaType }: Descriptor): Descriptor {
  const compression = layerCompression(mediaType);
  if (compression !== "none" && compression !== "gzip") {
    throw new Error(`A layer of type ${mediaType} has to be repacked before it can be part of an OCI image`);
  }
  return { mediaType: ociLayerTypes[compression], digest, size };
}

function imageBlob(mediaType: string, document: JsonObject): ImageBlob {
  const bytes = canonicalJson(document);
  return { mediaType, digest: digestOf(bytes), size: bytes.length, bytes };
}
