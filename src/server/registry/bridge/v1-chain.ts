import { digestOf, digestParts, isDigest, type Digest } from "../digest.ts";
import { parseImageId, type ImageId } from "../names.ts";
import { emptyLayer } from "./empty-layer.ts";
import { canonicalJson, isJsonObject, parseExact, type JsonObject } from "./exact-json.ts";
import { imageDocument, type ImageDocument } from "./image-document.ts";
import type { ImageLayer, ImageManifest } from "./image-manifest.ts";
import { timestamp } from "./timestamp.ts";
import { untranslatable } from "./untranslatable.ts";

/** One image of a V1 chain that was made of an image of V2. */
export interface V1ChainImage {
  /** Made of the parent's id, the layer's digest and all that the JSON says but its size. */
  readonly id: ImageId;
  readonly parent: ImageId | undefined;
  /** `emptyLayer` for an image that has none: the caller has to store those bytes. */
  readonly layer: ImageLayer;
  /** Digest of the unpacked layer, where the config says it. */
  readonly diffId: Digest | undefined;
  /** The V1 JSON; `size` is that of the layer's content in bytes, which no manifest says. */
  readonly json: (size: number) => Buffer;
}

/**
 * The V1 images, base first, that show an image of V2 to V1 clients: one for each layer, the last with the
 * configuration. The others say what docker's own pushes to V1 said, and who made them where the history fits the
 * layers. Pure: the same image gives the same ids everywhere, and images that share their first layers and the history
 * of these share those V1 images.
 *
 * An image that came through V1 gets another chain than it had: its JSON is not what this makes, and its empty layers
 * are gone. Whoever wants the ids that were pushed has to remember them. Rejects with IMAGE_UNTRANSLATABLE when the
 * config is damaged.
 */
export function v1ChainOf(image: ImageManifest, config: Uint8Array): readonly V1ChainImage[] {
  const parsed = parseExact(config);
  if (!parsed) throw untranslatable("its configuration is damaged");
  const layers = image.layers.length === 0 ? [emptyLayer] : image.layers;
  const history = layerHistory(parsed, image.layers.length);
  const diffIds = layerDiffIds(parsed, image.layers.length);
  const chain: V1ChainImage[] = [];
  for (const [index, layer] of layers.entries()) {
    const entry = history[index] ?? {};
    const isTop = index === layers.length - 1;
    const document = isTop ? topDocument(imageDocument(parsed), entry) : layerDocument(entry);
    chain.push(chainImage(document, layer, diffIds[index], chain.at(-1)?.id));
  }
  return chain;
}

function chainImage(
  document: JsonObject,
  layer: ImageLayer,
  diffId: Digest | undefined,
  parent: ImageId | undefined,
): V1ChainImage {
  const identity = canonicalJson({ layer: layer.digest, image: { ...document, parent } });
  const id = parseImageId(digestParts(digestOf(identity)).hex);
  const json = (size: number) => canonicalJson({ ...document, id, parent, Size: size });
  return { id, parent, layer, diffId, json };
}

function layerDocument({ created, created_by, author, comment }: HistoryEntry): JsonObject {
  const container_config = created_by === undefined ? undefined : { Cmd: [created_by] };
  return { created, container_config, author, comment };
}

/**
 * Docker's V1 images always had both configurations, and its history shows the command of `container_config`; images of
 * today have one or none.
 */
function topDocument(document: ImageDocument, { created_by, ...entry }: HistoryEntry): JsonObject {
  const config = document.config ?? {};
  const made = created_by === undefined ? config : { ...config, Cmd: [created_by] };
  return { docker_version: "", ...entry, ...document, config, container_config: document.container_config ?? made };
}

/** What the history of an image says of one layer. */
interface HistoryEntry {
  readonly created?: string | undefined;
  readonly created_by?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
}

/** The entries of the layers, or none when there are more or fewer of them than layers. */
function layerHistory({ history }: JsonObject, count: number): readonly HistoryEntry[] {
  if (!Array.isArray(history) || !history.every(isJsonObject)) return [];
  const entries = history.filter((entry) => entry["empty_layer"] !== true);
  return entries.length === count ? entries.map(historyEntry) : [];
}

function historyEntry({ created, created_by, author, comment }: JsonObject): HistoryEntry {
  return {
    created: timestamp(created),
    created_by: nonEmpty(created_by),
    author: nonEmpty(author),
    comment: nonEmpty(comment),
  };
}

function layerDiffIds({ rootfs }: JsonObject, count: number): readonly Digest[] {
  const ids: unknown = isJsonObject(rootfs) ? rootfs["diff_ids"] : undefined;
  if (count === 0) return [emptyLayer.digest];
  if (!Array.isArray(ids) || ids.length !== count) return [];
  return ids.every((id): id is Digest => typeof id === "string" && isDigest(id)) ? ids : [];
}

function nonEmpty(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
