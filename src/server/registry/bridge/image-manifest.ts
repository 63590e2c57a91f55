import { isDigest, type Descriptor } from "../digest.ts";
import { isObject, parseJson } from "../documents.ts";
import type { Compression } from "../layers/compression.ts";
import { layerCompression, layerProblem } from "./layer-types.ts";
import { untranslatable } from "./untranslatable.ts";

/** A layer of an image, and how it is packed. */
export interface ImageLayer extends Descriptor {
  readonly compression: Compression;
}

/** What a manifest of Docker's schema 2 or of OCI says, when it is of an image. */
export interface ImageManifest {
  readonly config: Descriptor;
  /** Base first. */
  readonly layers: readonly ImageLayer[];
}

type JsonObject = Readonly<Record<string, unknown>>;

/** As much as skopeo and podman read; it is held in memory. */
const largestConfig = 4 * 1024 * 1024;

/** Docker 1.10 pushed some configs as bytes of no type. */
const configTypes = [
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
  "application/octet-stream",
];

/**
 * The manifest of an image that a V1 client could run. Rejects with IMAGE_UNTRANSLATABLE, and says which: an index,
 * schema 1, an artifact that is no image, layers that are foreign, encrypted or of unknown types.
 */
export function parseImageManifest(bytes: Uint8Array): ImageManifest {
  const value = parseJson(bytes);
  if (!isObject(value)) throw untranslatable("its manifest is damaged");
  if (value["schemaVersion"] === 1)
    throw untranslatable("its manifest is of schema 1, which clients of today cannot use either");
  if (Array.isArray(value["manifests"])) throw untranslatable("it is an index of images, not one image");
  const config = isObject(value["config"]) ? descriptor(value["config"]) : undefined;
  if (!config) throw untranslatable("it is an artifact without a configuration, not an image");
  const { artifactType } = value;
  if (!configTypes.includes(config.mediaType)) {
    const type = typeof artifactType === "string" && artifactType !== "" ? artifactType : config.mediaType;
    throw untranslatable(`it is an artifact${type === "" ? "" : ` of type ${type}`}, not an image`);
  }
  if (config.size > largestConfig) throw untranslatable("its configuration is larger than 4 MiB");
  const layers: unknown = value["layers"] ?? [];
  if (!Array.isArray(layers)) throw untranslatable("its manifest is damaged");
  return { config, layers: layers.map(imageLayer) };
}

/** Whether clients of V1 unpack the layer as it is. zstd is younger than they are: such layers have to be repacked. */
export function isReadableByV1({ compression }: ImageLayer): boolean {
  return compression !== "zstd";
}

function imageLayer(value: unknown): ImageLayer {
  const layer = isObject(value) ? descriptor(value) : undefined;
  if (!isObject(value) || !layer) throw untranslatable("its manifest is damaged");
  const compression = layerCompression(layer.mediaType);
  if (compression === undefined) throw untranslatable(`its layer ${layer.digest} ${layerProblem(layer.mediaType)}`);
  if (Array.isArray(value["urls"]) && value["urls"].length > 0) {
    throw untranslatable(`its layer ${layer.digest} is kept elsewhere`);
  }
  return { ...layer, compression };
}

function descriptor({ digest, size, mediaType }: JsonObject): Descriptor | undefined {
  if (typeof digest !== "string" || !isDigest(digest)) return undefined;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return undefined;
  return { digest, size, mediaType: typeof mediaType === "string" ? mediaType : "" };
}
